import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq'
import { ReplyError } from 'ioredis'

/** A job that was removed because BullMQ's scripts fail over it, and with it over all others. */
export interface RemovedJob {
  readonly id: string
  readonly why: string
}

/** Far more than any job of ours needs, yet small enough to pass on. */
const MAX_BYTES = 262_144
const MAX_FIELDS = 64
/**
 * Jobs checked before one is taken. More than one, since another worker may take a job between the check and the take.
 */
const NEXT = 2
/** As many as are read when jobs are listed. */
const LISTED = 1_000
/** As many as one BullMQ script promotes, and would lose if one of them is broken. */
const MAX_PROMOTED = 1_000
/** BullMQ's delayed score is the time in ms times this, plus a counter. */
const SCORE_OF_MS = 4_096
const SOON_MS = 1_000
/** BullMQ scripts whose answer contains a job. */
const HANDS_OUT: ReadonlySet<string> = new Set(['moveToActive', 'moveToFinished', 'moveToDelayed'])
const REMOVE_UNSOUND = 'mylabRemoveUnsoundJobs'

/**
 * Non-numeric counters, keys that are not hashes, and oversized hashes make BullMQ's scripts, or the reader of their
 * answer, fail: after the job has moved to `active`, and again forever; if it is delayed, together with all jobs next
 * to it in the list. Such a job is removed. Parents, children and schedulers, which no job of ours has, are only
 * stripped, since finishing the job would follow them. KEYS[1] is the prefix with its colon, ARGV[1] the score up to
 * which delayed jobs are due, ARGV[2] the number of jobs checked per list; returns id, reason, id, reason ...
 */
const LUA = `
local removed = {}
local function typeOf(key) return redis.call('TYPE', key)['ok'] end
local function whole(text)
  return text == false or (#text < 16 and string.match(text, '^%-?%d+$') ~= nil)
end
local function fault(key)
  local kind = typeOf(key)
  if kind == 'none' then return nil end
  if kind ~= 'hash' then return 'its key is not a hash' end
  if redis.call('HLEN', key) > ${MAX_FIELDS} then return 'it has too many fields' end
  if redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0) > ${MAX_BYTES} then return 'it is too large' end
  for _, number in ipairs(redis.call('HMGET', key, 'ats', 'atm', 'attemptsMade', 'stc', 'priority')) do
    if not whole(number) then return 'one of its counters is not a number' end
  end
  redis.call('HDEL', key, 'parent', 'parentKey', 'rjk', 'nrjid')
  redis.call('UNLINK', key .. ':dependencies', key .. ':unsuccessful', key .. ':processed', key .. ':failed')
end
local function checkNext(id)
  local deduplication = redis.call('HGET', KEYS[1] .. id, 'deid')
  if not deduplication then return end
  local key = KEYS[1] .. 'dn:' .. deduplication
  local kind = typeOf(key)
  if kind == 'none' then return end
  local options = kind == 'hash' and redis.call('HGET', key, 'opts')
  local read, decoded = pcall(cjson.decode, options or '')
  if not read or type(decoded) ~= 'table' then redis.call('UNLINK', key) end
end
local function look(ids, list, command)
  for _, id in ipairs(ids) do
    local key = KEYS[1] .. id
    local ours = string.match(id, '^%d+$') ~= nil
    local why = 'its id is not a number'
    if ours then why = fault(key) end
    if why then
      if command == 'LREM' then redis.call('LREM', list, 0, id) else redis.call('ZREM', list, id) end
      -- beside the jobs the prefix has the lists themselves
      if ours then redis.call('UNLINK', key, key .. ':lock') end
      redis.call('SREM', KEYS[1] .. 'stalled', id)
      removed[#removed + 1] = id
      removed[#removed + 1] = why
    else
      checkNext(id)
    end
  end
end
local lists, sets = { 'wait' }, { 'prioritized', 'delayed' }
if tonumber(ARGV[2]) > ${NEXT} then
  lists, sets = { 'wait', 'paused', 'active' }, { 'prioritized', 'delayed', 'failed', 'completed' }
end
for _, name in ipairs(lists) do
  local list = KEYS[1] .. name
  if typeOf(list) == 'list' then look(redis.call('LRANGE', list, -tonumber(ARGV[2]), -1), list, 'LREM') end
end
for _, name in ipairs(sets) do
  local list = KEYS[1] .. name
  if typeOf(list) == 'zset' then look(redis.call('ZRANGE', list, 0, tonumber(ARGV[2]) - 1), list, 'ZREM') end
end
local delayed = KEYS[1] .. 'delayed'
if typeOf(delayed) == 'zset' then
  look(redis.call('ZRANGEBYSCORE', delayed, 0, ARGV[1], 'LIMIT', ARGV[2], ${MAX_PROMOTED}), delayed, 'ZREM')
end
return removed`

/**
 * BullMQ's Redis backend, hardened against hostile or broken job hashes: before a job is taken, those that cannot be
 * taken are removed, and fields that are not JSON are dropped from the rest. Every reader of jobs gets such a backend.
 */
export function soundBackend(onRemoved: (removed: RemovedJob) => void): BackendFactory<RedisQueueBackend> {
  return (name, options, how) => {
    const backend = createRedisBackend(name, options, how)
    const send = backend.execCommand.bind(backend)
    const take: typeof send = async (client: Client, command, args) => {
      // both go over one connection in order, and cost one round trip
      const [looked, taken] = await Promise.allSettled([remove(client, backend, NEXT), send(client, command, args)])
      if (looked.status === 'rejected') throw looked.reason
      looked.value.forEach(onRemoved)
      if (taken.status === 'fulfilled') return readableNext(taken.value)
      // the job that came next was not among those checked
      if (taken.reason instanceof ReplyError) (await remove(client, backend, LISTED)).forEach(onRemoved)
      throw taken.reason
    }
    backend.execCommand = (client, command, args) =>
      HANDS_OUT.has(command) ? take(client, command, args) : send(client, command, args)
    const read = backend.getJobData.bind(backend)
    backend.getJobData = async (id) => {
      try {
        return await read(id)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
        return { ...UNREADABLE, id }
      }
    }
    return backend
  }
}

/** Stands in for a listed job with a field that is not JSON. */
const UNREADABLE = {
  name: '',
  data: 'null',
  opts: {},
  progress: 0,
  attemptsMade: 0,
  attemptsStarted: 0,
  stalledCounter: 0,
  timestamp: 0,
  failedReason: '',
  returnvalue: '',
}

/** Checks the first thousand jobs of each list and returns those it removed. */
export async function removeUnsound(backend: RedisQueueBackend): Promise<RemovedJob[]> {
  return remove(await backend.client, backend, LISTED)
}

type Client = Awaited<RedisQueueBackend['client']>

/** Sends before its first await, so that a following command comes after it on the connection. */
async function remove(client: Client, backend: RedisQueueBackend, most: number): Promise<RemovedJob[]> {
  // defined once per connection
  if (!(REMOVE_UNSOUND in client)) client.defineCommand(REMOVE_UNSOUND, { numberOfKeys: 1, lua: LUA })
  const due = (Date.now() + SOON_MS) * SCORE_OF_MS
  const answer = (await client.runCommand(REMOVE_UNSOUND, [backend.toKey(''), due, most])) as string[]
  const removed: RemovedJob[] = []
  for (let at = 0; at < answer.length; at += 2) removed.push({ id: answer[at] ?? '', why: answer[at + 1] ?? '' })
  return removed
}

/** Fields that BullMQ parses unguarded and that we do not use: options are our own, and no job reports progress. */
const NOT_READ: ReadonlySet<string> = new Set(['opts', 'progress', 'parent', 'parentKey', 'rjk', 'nrjid'])

/** `[[field, value, ...] or 0, id, ...]`. */
function readableNext(answer: unknown): unknown {
  if (!Array.isArray(answer) || !Array.isArray(answer[0])) return answer
  const [fields, ...rest] = answer as [string[], ...unknown[]]
  const kept: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const [name = '', value = ''] = fields.slice(at, at + 2)
    if (!NOT_READ.has(name)) kept.push(name, value)
  }
  return [kept, ...rest]
}
