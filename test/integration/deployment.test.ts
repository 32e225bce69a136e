import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { SETTINGS } from '@mylab-sync/config'
import { type ServerSet, sharedServers } from '@mylab-sync/testkit'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { parse, parseAllDocuments } from 'yaml'
import {
  type CommandLine,
  type Compose,
  documentLines,
  filesBelow,
  type KubernetesObject,
  programLines,
  readText,
  sqlBlocks,
} from '../support/deployment.js'
import { cli, isInstalled, ROOT, run } from '../support/run.js'
import { sharedFolder } from '../support/folders.js'

const FOLDERS = ['base', 'overlays/example', 'overlays/autoscaling', 'overlays/encrypted']
const UNITS = filesBelow('infra/systemd', '.service')
const compose = parse(readText('docker-compose.yml'), { merge: true }) as Compose
const VARIABLES: ReadonlySet<string> = new Set(SETTINGS.flatMap(({ variables }) => [...variables]))
const OURS = Object.entries(compose.services).filter(([, { image }]) => image === 'mylab-sync:local')

interface Kustomization {
  readonly resources: readonly string[]
  readonly labels: readonly { readonly pairs: Record<string, string>; readonly includeTemplates?: boolean }[]
}

interface NetworkPolicy {
  readonly podSelector: unknown
  readonly policyTypes: readonly string[]
  readonly ingress: readonly unknown[]
  readonly egress?: readonly { readonly ports: readonly { readonly port: number }[] }[]
}

const folder = await sharedFolder('deployment')

const rendered = new Map<string, Promise<KubernetesObject[] | null>>()

/** Rendered once each. Null without kubectl, or if its kustomize is too old for components (as Debian 12's is). */
function render(name: string): Promise<KubernetesObject[] | null> {
  const objects = rendered.get(name) ?? kustomize(name)
  rendered.set(name, objects)
  return objects
}

async function kustomize(name: string): Promise<KubernetesObject[] | null> {
  if (!isInstalled('kubectl')) return null
  const { code, out, err } = await run('kubectl', ['kustomize', join(ROOT, 'infra/kubernetes', name)])
  if (/unknown field|cannot unmarshal/.test(err)) return null
  assert.equal(code, 0, err)
  return parseAllDocuments(out).map((document) => document.toJS() as KubernetesObject)
}

/** The class that knows the API's schema of this object. */
async function modelOf({
  apiVersion,
  kind,
}: Pick<KubernetesObject, 'apiVersion' | 'kind'>): Promise<new (value: object) => { validate(): void }> {
  const models = (await import(`kubernetes-models/${apiVersion}`)) as Record<string, unknown>
  assert.equal(typeof models[kind], 'function', `${apiVersion} ${kind}`)
  return models[kind] as new (
    value: object,
  ) => { validate(): void }
}

test('every kustomization renders objects that the schemas of Kubernetes accept', async (t) => {
  for (const name of FOLDERS) {
    const objects = await render(name)
    if (objects === null) return t.skip('no kubectl, or one older than 1.27')
    for (const object of objects) new (await modelOf(object))(object).validate()
    assert.equal(new Set(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).size, objects.length)
  }
  const wrong = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' }, spec: { replicas: 'two' } }
  const model = await modelOf(wrong)
  assert.throws(() => new model(wrong as object).validate(), 'a wrong object is refused')
})

const KUBERNETES = filesBelow('infra/kubernetes', '.yaml')
const PODS = KUBERNETES.flatMap((file) =>
  parseAllDocuments(readText(file)).flatMap((document) => {
    const spec = (document.toJS() as KubernetesObject).spec?.template?.spec
    return spec ? [{ file, spec }] : []
  }),
)

test('pods run as nobody, keep no secret, and live or die by their own heartbeat alone', () => {
  assert.equal(PODS.length, 5)
  for (const { file, spec } of PODS) {
    assert.equal(spec.securityContext['runAsNonRoot'], true, file)
    for (const { env, livenessProbe, securityContext, resources } of spec.containers) {
      assert.deepEqual(
        { ...securityContext },
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
        file,
      )
      assert.ok(resources?.requests && resources.limits, file)
      assert.equal(env, undefined, file)
      const path = livenessProbe?.httpGet?.path
      assert.ok(path === undefined || path === '/healthz', file)
      assert.ok(
        livenessProbe === undefined || path !== undefined || JSON.stringify(livenessProbe.exec).includes('/tmp/alive'),
      )
    }
  }
  for (const file of KUBERNETES) assert.doesNotMatch(readText(file), /^kind: Secret$/m, file)
})

test("compose checks every process's health, publishes locally only, and parses", async (t) => {
  for (const [name, { healthcheck, ports }] of Object.entries(compose.services)) {
    assert.ok(healthcheck, name)
    for (const port of ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name)
  }
  assert.deepEqual(OURS.map(([name]) => name).sort(), ['dashboard', 'scheduler', 'setup', 'worker'])
  const [command, ...args] = isInstalled('docker-compose') ? ['docker-compose'] : ['docker', 'compose']
  const known = isInstalled(command ?? '') && (await run(command ?? '', [...args, 'version'])).code === 0
  if (!known) return t.skip('no docker compose')
  const { code, err } = await run(command ?? '', [...args, '-f', join(ROOT, 'docker-compose.yml'), 'config', '-q'])
  assert.equal(code, 0, err)
})

test('our containers write below /tmp only, gain no right and have no capability', () => {
  for (const [name, { read_only, tmpfs, security_opt, cap_drop, cap_add, privileged }] of OURS)
    assert.deepEqual(
      { read_only, tmpfs, security_opt, cap_drop, cap_add, privileged },
      {
        read_only: true,
        tmpfs: ['/tmp'],
        security_opt: ['no-new-privileges:true'],
        cap_drop: ['ALL'],
        cap_add: undefined,
        privileged: undefined,
      },
      name,
    )
})

test('a policy admits nobody to any pod, and lets pods reach DNS, databases and Redis', () => {
  const base = parse(readText('infra/kubernetes/base/kustomization.yaml')) as Kustomization
  const given = base.labels.find(({ includeTemplates }) => includeTemplates)?.pairs
  assert.ok(base.resources.includes('network-policy.yaml'))
  const policies = parseAllDocuments(readText('infra/kubernetes/base/network-policy.yaml'))
  const [{ podSelector, policyTypes, ingress, egress } = assert.fail()] = policies.map(
    (document) => (document.toJS() as { spec: NetworkPolicy }).spec,
  )
  assert.deepEqual(podSelector, { matchLabels: given })
  assert.deepEqual(policyTypes, ['Ingress', 'Egress'])
  assert.deepEqual(ingress, [])
  const ports = egress?.flatMap((rule) => rule.ports.map(({ port }) => port))
  assert.deepEqual([...new Set(ports)], [53, 3306, 5432, 6379])
})

test('the image runs as a numbered user other than root and starts the program itself', () => {
  const dockerfile = readText('infra/Dockerfile')
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))
  assert.match(last, /^USER 10001:10001$/m)
  assert.match(last, /^ENTRYPOINT \["node", "\/app\/apps\/cli\/bin\/mylab-sync\.js"\]$/m)
  assert.doesNotMatch(dockerfile, /password|secret=/i)
})

/** Copies of the units, in which node lies where this machine has it. */
function unitCopies(change: (text: string) => string = (text) => text): string[] {
  copyFileSync(join(ROOT, 'infra/systemd/mylab-sync.env'), join(folder, 'mylab-sync.env'))
  return UNITS.map((file) => {
    const copy = join(folder, basename(file))
    writeFileSync(copy, change(readText(file).replaceAll('/usr/bin/node', process.execPath)))
    return copy
  })
}

/** As systemd counts it, from 0 to 10. */
async function exposure(unit: string): Promise<number> {
  const { out, err } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', unit])
  const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(out) ?? []
  assert.ok(level !== undefined, out + err)
  return Number(level)
}

test('systemd rates the exposure of the units at 2.0 or less', async (t) => {
  if (!isInstalled('systemd-analyze')) return t.skip('systemd-analyze is not installed: a container has none')
  for (const unit of unitCopies()) assert.ok((await exposure(unit)) <= 2, unit)
  const [bare = ''] = unitCopies((text) => text.replace(/^(?:Restrict|Protect|Private|SystemCall)\w+=.*$/gm, ''))
  assert.ok((await exposure(bare)) > 4, 'a unit without its restrictions is told apart')
})

test('each image is named once, so that a digest can replace its tag', () => {
  const dockerfile = readText('infra/Dockerfile')
  assert.deepEqual(
    [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image),
    ['${IMAGE_NODE}', '${IMAGE_NODE}'],
  )
  for (const [name, { image = '' }] of Object.entries(compose.services))
    assert.match(image, /^(?:mylab-sync:local|\$\{IMAGE_[A-Z]+:-[a-z]+:[\d.]+\})$/, name)
})

test('compose encrypts every line with certificates it makes, and sets known variables', async (t) => {
  if (!isInstalled('openssl')) return t.skip('openssl, which the script calls, is not installed')
  const script = join(folder, 'certificates.sh')
  copyFileSync(join(ROOT, 'infra/compose/certificates.sh'), script)
  assert.equal((await run('sh', [script])).code, 0)
  const made = readdirSync(join(folder, 'tls'))
  const text = readText('infra/compose/encrypted.yml')
  const named = [...text.matchAll(/\/(?:tls|from)\/([a-z]+\.(?:pem|key))/g)].map(([, file = '']) => file)
  assert.deepEqual(
    [...new Set(named)].filter((file) => !made.includes(file)),
    [],
  )
  for (const name of ['source', 'target', 'redis', 'dashboard']) {
    const at = (file: string): string => join(folder, 'tls', file)
    const check = ['verify', '-CAfile', at('ca.pem'), '-verify_hostname', name, at(`${name}.pem`)]
    assert.equal((await run('openssl', check)).code, 0, name)
  }
  const { services } = parse(text, { merge: true }) as Compose
  for (const [name] of OURS) assertEncrypted({ ...(services[name]?.['environment'] as Record<string, string>) }, name)
})

/** Both databases, Redis and, where it is named, the page. */
function assertEncrypted(variables: Readonly<Record<string, string>>, where: string): void {
  for (const name of Object.keys(variables)) assert.ok(VARIABLES.has(name), `${where}: ${name}`)
  assert.equal(variables['DB_SSLMODE'], 'verify-full', where)
  assert.equal(variables['PGSQL_SSLMODE'], 'verify-full', where)
  for (const name of ['DB_SSLROOTCERT', 'PGSQL_SSLROOTCERT', 'REDIS_TLS_CA'])
    assert.match(variables[name] ?? '', /^\/tls\//, where)
}

test('the Kubernetes component mounts each certificate it names into every pod', () => {
  const at = 'infra/kubernetes/components/certificates'
  const text = readText(`${at}/kustomization.yaml`)
  const component = parse(text) as { configMapGenerator: { literals: string[] }[] }
  const literals = component.configMapGenerator.flatMap((generator) => generator.literals)
  const variables = Object.fromEntries(literals.map((literal) => literal.split('=') as [string, string]))
  assertEncrypted(variables, at)
  const [, comment = ''] = /create secret generic mylab-sync-tls(.*?)\n# A replaced/s.exec(text) ?? []
  for (const path of Object.values(variables).filter((value) => value.startsWith('/')))
    assert.ok(comment.includes(`--from-file=${basename(path)}`), path)
  for (const [, name = ''] of text.matchAll(/# - (\w+)=/g)) assert.ok(VARIABLES.has(name), name)
  const patch = parse(readText(`${at}/mount.yaml`)) as { path: string; value: { name: string; mountPath?: string } }[]
  assert.deepEqual(
    patch.map(({ value }) => [value.name, value.mountPath]),
    [
      ['tls', undefined],
      ['tls', '/tls'],
    ],
  )
  // a patch can only append to an existing list
  for (const { volumes, containers } of PODS.map(({ spec }) => spec)) assert.ok(volumes && containers[0]?.volumeMounts)
})

test('systemd accepts the units', async (t) => {
  if (!isInstalled('systemd-analyze')) return t.skip('systemd-analyze is not installed: a container has none')
  const units = unitCopies()
  const { code, err } = await run('systemd-analyze', ['verify', ...units])
  assert.equal(code, 0, err)
  assert.doesNotMatch(err, /mylab-sync/)
  for (const file of UNITS) assert.match(readText(file), /^SuccessExitStatus=143$/m, file)
})

test('every command line in these files and in the documents is known to the program', async () => {
  const containers = (await Promise.all(FOLDERS.map(render))).flatMap((objects) => objects ?? [])
  const lines: CommandLine[] = [
    ...OURS.map(([, { command = [] }]) => ({ file: 'docker-compose.yml', args: command })),
    ...programLines([...UNITS, 'infra/supervisor/mylab-sync.conf', 'infra/cron/mylab-sync']),
    ...documentLines(['README.md', ...filesBelow('docs', '.md')]),
    ...containers.flatMap(({ kind, spec }) =>
      (spec?.template?.spec.containers ?? []).map(({ args = [] }) => ({ file: `kubernetes ${kind}`, args })),
    ),
  ]
  assert.ok(lines.length > 30, `${lines.length} lines`)
  const all = (await cli(['--help'])).out
  const helps = new Map<string, string>()
  const unknown = new Set<string>()
  for (const { file, args } of lines) {
    const [given = '', ...rest] = args
    // each command answers to its name in the older package too
    const name = given.replace(/^sync:/, '')
    if (!new RegExp(`mylab-sync ${name}\\s`).test(all)) {
      unknown.add(name)
      continue
    }
    const help = helps.get(name) ?? (await cli([name, '--help'])).out
    helps.set(name, help)
    assert.match(help, new RegExp(`^mylab-sync ${name}\\b`), file)
    for (const flag of rest.filter((word) => word.startsWith('--')).map((word) => word.replace(/=.*/, '')))
      assert.ok(help.includes(flag), `${file}: ${args.join(' ')}: ${flag}`)
  }
  assert.deepEqual([...unknown], [])
})

test('the troubleshooting page has an entry for every error code and no other', () => {
  const unionOf = (file: string): string[] =>
    [...readText(file).matchAll(/^ {2}\| '([a-z-]+)'$/gm)].map(([, code = '']) => code)
  const codes = unionOf('packages/core/src/errors.ts')
  const findings = new Set(unionOf('packages/core/src/model/finding.ts'))
  const entries = [...readText('docs/troubleshooting.md').matchAll(/^## ([a-z-]+)$/gm)].map(([, entry = '']) => entry)
  assert.ok(codes.length > 10)
  // Findings of doctor carry their remedies; a few also have an entry of their own.
  assert.deepEqual(
    entries.filter((entry) => codes.includes(entry) || !findings.has(entry)).toSorted(),
    codes.toSorted(),
  )
})

test('the compose sample goes live and is removed with the documented rights', async () => {
  const servers = await sharedServers()
  const sides = { source: 'clinic', target: 'clinic' }
  try {
    await servers.createDatabases(sides)
    await using source = await servers.sourceAdmin('clinic')
    await using target = await servers.targetAdmin('clinic')
    const runSql = async (heading: string): Promise<void> => {
      for (const { side, text } of sqlBlocks('docs/operations.md', heading))
        await (side === 'target' ? runOnTarget(target, text) : runOnSource(source, text))
    }
    await source.query(readText('infra/compose/sample.sql'))
    await runSql('Rights')
    const user = {
      DB_USERNAME: 'mylab_sync',
      DB_PASSWORD: 'secret',
      PGSQL_USERNAME: 'mylab_sync',
      PGSQL_PASSWORD: 'secret',
    }
    await replicate({ ...servers.environment(sides), ...user, SYNC_USE_QUEUE: 'false' })
    await runSql('Remove')
    const [left] = await source.query<RowDataPacket[]>('SELECT TRIGGER_NAME FROM information_schema.TRIGGERS')
    assert.deepEqual(
      left.filter(({ TRIGGER_NAME }) => String(TRIGGER_NAME).includes('sync_')),
      [],
    )
    await source.query("INSERT INTO patient (name) VALUES ('after us')")
    const { rows } = await target.query(
      "SELECT to_regnamespace('mylab_sync') AS ours, count(*)::int AS kept FROM visit",
    )
    assert.deepEqual(rows, [{ ours: null, kept: 8000 }])
  } finally {
    await servers.close()
  }
})

/** Runs the statements of the answer too, if it has any. */
async function runOnSource(source: Connection, text: string): Promise<void> {
  const [rows] = await source.query<RowDataPacket[]>(text)
  if (!Array.isArray(rows)) return
  for (const { statement } of rows) if (typeof statement === 'string') await source.query(statement)
}

async function runOnTarget(target: Awaited<ReturnType<ServerSet['targetAdmin']>>, text: string): Promise<void> {
  const { rows } = (await target.query(text)) as { rows?: { statement?: unknown }[] }
  for (const { statement } of rows ?? []) if (typeof statement === 'string') await target.query(statement)
}

/** By the line that compose's set-up runs. */
async function replicate(environment: Record<string, string>): Promise<void> {
  const alive = join(folder, 'alive')
  const setup = OURS.find(([name]) => name === 'setup')?.[1].command ?? []
  const { code, err } = await cli(setup, { ...environment, SYNC_HEARTBEAT_FILE: alive })
  assert.equal(code, 0, err)
  assert.equal(readFileSync(alive, 'utf8'), '')
  const { out } = await cli(['status', '--json'], environment)
  const { tables } = JSON.parse(out) as { tables: { table: string; state: string; rowsCopied: number }[] }
  assert.deepEqual(
    tables.map(({ table, state, rowsCopied }) => [table, state, rowsCopied]),
    [
      ['patient', 'live', 2000],
      ['result', 'live', 24_000],
      ['visit', 'live', 8000],
    ],
  )
  const unwritable = await cli(['status'], { ...environment, SYNC_HEARTBEAT_FILE: '/nowhere/alive' })
  assert.equal(unwritable.code, 3)
  assert.match(unwritable.err, /SYNC_HEARTBEAT_FILE: \/nowhere\/alive cannot be written/)
}
