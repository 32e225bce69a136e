import type { RedisQueueBackend } from 'bullmq'

const MEND = 'mylabMendKeys'
/** Keys scanned per look: each waiting job of a first copy has one. */
const SCANNED = 1_000
/** Lists are searched only this far: a client may have filled them. */
const MOST_LISTED = 10_000
/** Locks and the pause between two checks last for seconds: longer ones are not BullMQ's. */
const LONGEST_LOCK_MS = 60_000

/**
 * Removes keys of a queue, other than its jobs, that do not fit. One stray write disables a queue for good: a list of another type or
 * text for a number fails each script, a lock without an expiry looks like a worker, and a name reserved for no job blocks the jobs of
 * that name. Only hints are lost by the removal. A counter of ids that went back names jobs
 * that still exist, which new jobs would be mistaken for. KEYS[1] is the prefix with its colon, ARGV[1] the time in ms, ARGV[2] where the
 * scan of names continues; returns where the next scan continues, and a sentence for each key.
 */
const LUA = `
local found = {}
local kinds = { wait = 'list', paused = 'list', active = 'list', prioritized = 'zset', delayed = 'zset', completed = 'zset',
  failed = 'zset', ['waiting-children'] = 'zset', marker = 'zset', stalled = 'set', meta = 'hash', events = 'stream',
  id = 'string', pc = 'string', limiter = 'string', ['stalled-check'] = 'string' }
local function typeOf(key) return redis.call('TYPE', key)['ok'] end
local function whole(text) return #text < 16 and string.match(text, '^%d+$') ~= nil end
local function drop(key, why)
  redis.call('UNLINK', key)
  found[#found + 1] = why
end
for name, kind in pairs(kinds) do
  local key = KEYS[1] .. name
  local is = typeOf(key)
  if is ~= 'none' and is ~= kind then drop(key, name .. ' is not a ' .. kind) end
end
for _, name in ipairs({ 'pc', 'limiter' }) do
  local value = redis.call('GET', KEYS[1] .. name)
  if value and not whole(value) then drop(KEYS[1] .. name, name .. ' is not a number') end
end
for _, name in ipairs({ 'concurrency', 'max', 'duration', 'opts.maxLenEvents' }) do
  local value = redis.call('HGET', KEYS[1] .. 'meta', name)
  if value and not whole(value) then
    redis.call('HDEL', KEYS[1] .. 'meta', name)
    found[#found + 1] = 'meta holds text where a number belongs'
  end
end
local function endless(key)
  local is = typeOf(key)
  if is == 'none' then return false end
  local ms = redis.call('PTTL', key)
  return is ~= 'string' or ms < 0 or ms > ${LONGEST_LOCK_MS}
end
if endless(KEYS[1] .. 'stalled-check') then drop(KEYS[1] .. 'stalled-check', 'stalled-check has no expiry') end
for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. 'active', -${SCANNED}, -1)) do
  local lock = KEYS[1] .. id .. ':lock'
  if endless(lock) then drop(lock, 'a lock has no expiry') end
end
local last = redis.call('GET', KEYS[1] .. 'id')
local number = last and (whole(last) and tonumber(last) or -1) or 0
if number < 0 or redis.call('EXISTS', KEYS[1] .. string.format('%.0f', number + 1)) == 1 then
  redis.call('SET', KEYS[1] .. 'id', string.format('%.0f', math.max(number + 1000000, tonumber(ARGV[1]))))
  found[#found + 1] = 'id is not the next free number'
end
local function isListed(id)
  for _, name in ipairs({ 'wait', 'paused', 'active' }) do
    -- a server that does not know it yet answers with an error, which is no reason to remove anything
    if redis.pcall('LPOS', KEYS[1] .. name, id, 'MAXLEN', ${MOST_LISTED}) then return true end
  end
  return redis.call('ZSCORE', KEYS[1] .. 'prioritized', id) or redis.call('ZSCORE', KEYS[1] .. 'delayed', id)
end
-- a prefix in braces is no pattern, but for these
local pattern = string.gsub(KEYS[1], '[%[%]%*%?%\\\\]', '?') .. 'de:*'
local answer = redis.call('SCAN', ARGV[2], 'MATCH', pattern, 'COUNT', ${SCANNED})
for _, key in ipairs(answer[2]) do
  local is = typeOf(key)
  local id = is == 'string' and redis.call('GET', key)
  if is ~= 'none' and (not id or not isListed(id)) then
    redis.call('UNLINK', KEYS[1] .. 'dn:' .. string.sub(key, #KEYS[1] + 4))
    drop(key, 'a name is reserved for a job that is not waiting')
  end
end
return { answer[1], found }`

/** Checks the keys of a queue, and the next thousand names; `from` is what the last call returned, or `0`. */
export async function mendKeys(
  backend: RedisQueueBackend,
  from: string,
): Promise<{ readonly next: string; readonly found: readonly string[] }> {
  const client = await backend.client
  // once a connection
  if (!(MEND in client)) client.defineCommand(MEND, { numberOfKeys: 1, lua: LUA })
  const [next, found] = (await client.runCommand(MEND, [backend.toKey(''), Date.now(), from])) as [string, string[]]
  return { next, found: [...new Set(found)] }
}
