// Servers on raw workerd, all in the same way: its own process, port and disk folder, the same configuration but for
// the modules. What is made on disk is gone when the benchmark ends.

import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure, ROOT, paths } from '../scripts/tools.mjs'

const WORKERD = paths.npmBin('workerd')
const BASELINE = join(ROOT, 'bench', 'baseline')
const START_SECONDS = 20
export const KEY = 'bench-service-key'

const running = new Set()
const folder = mkdtempSync(join(tmpdir(), 'edge-credits-bench-'))
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))

/** A new folder that is removed at the end. */
export const freshFolder = (name) => mkdtempSync(join(folder, `${name}-`))

/** A child that does not outlive the benchmark. */
export function child(...args) {
  const mine = spawn(...args)
  running.add(mine)
  mine.ended = new Promise((resolve) => {
    mine.on('error', resolve)
    mine.on('close', resolve)
  }).then(() => running.delete(mine))
  return mine
}

/** The modules of the servers: the first is the entry. Copies, so that a build under way changes nothing. */
export const modules = {
  ours: (build) => [join(build, 'index.js'), join(build, 'index_bg.wasm')],
  counted: (build) => [join(ROOT, 'bench', 'counting.js'), ...modules.ours(build)],
  baseline: () => [join(BASELINE, 'index.js'), join(BASELINE, 'prices.js')],
  empty: () => [join(BASELINE, 'empty.js')],
}

/** A server that is configured but not started. `disk` is where its accounts are, by default a fresh folder. */
export function server(name, modulePaths, { disk = freshFolder(`${name}-disk`), v8Flags = [], args = [] } = {}) {
  const home = freshFolder(name)
  mkdirSync(disk, { recursive: true })
  for (const path of modulePaths) cpSync(path, join(home, basename(path)))
  const config = join(home, 'workerd.capnp')
  writeFileSync(config, capnp(modulePaths.map((path) => basename(path)), disk, v8Flags))
  let runtime = null
  return {
    name,
    disk,
    port: null,
    get pid() {
      return runtime?.pid
    },
    /** Starts, and resolves to the milliseconds from the start to the first answer. */
    async start() {
      const began = performance.now()
      runtime = child(WORKERD, [
        'serve', config, '--socket-addr', 'http=127.0.0.1:0', '--control-fd=3', ...args,
      ], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] })
      runtime.log = ''
      runtime.stderr.on('data', (data) => (runtime.log += data))
      const mine = runtime
      this.port = await Promise.race([portOf(mine), mine.ended, sleep(START_SECONDS * 1000, null, { ref: false })])
      if (typeof this.port !== 'number') throw new Failure(`${name} did not start: ${mine.log}`)
      const answer = await fetch(`http://127.0.0.1:${this.port}/health`)
      await answer.arrayBuffer()
      if (!answer.ok) throw new Failure(`${name} does not answer: ${answer.status} ${mine.log}`)
      return performance.now() - began
    },
    async stop(signal = 'SIGTERM') {
      if (!runtime || !running.has(runtime)) return
      runtime.kill(signal)
      await Promise.race([runtime.ended, sleep(3000, null, { ref: false })])
      runtime.kill('SIGKILL')
      await runtime.ended
    },
    /** The processor time that its threads took so far; NaN where the system does not tell. */
    cpuSeconds() {
      const tasks = `/proc/${runtime.pid}/task`
      try {
        const times = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0])
        return times.reduce((sum, nanoseconds) => sum + Number(nanoseconds), 0) / 1e9
      } catch {
        return NaN
      }
    },
    /** A request in the plain way, which must succeed. */
    async ask(method, path, body) {
      const answer = await fetch(`http://127.0.0.1:${this.port}${path}`, {
        method,
        headers: {
          'Authorization': `Bearer ${KEY}`,
          'Content-Type': 'application/json',
          'Idempotency-Key': crypto.randomUUID(),
        },
        body: body && JSON.stringify(body),
      })
      const text = await answer.text()
      if (!answer.ok) throw new Failure(`${name}: ${method} ${path} was answered ${answer.status} ${text}\n${runtime.log}`)
      return JSON.parse(text)
    },
    /** Opens an account that is rich enough for all that is to come. */
    async open(account) {
      await this.ask('PUT', `/v1/accounts/${account}`, { plan: 'free' })
      await this.ask('POST', `/v1/accounts/${account}/grants`, { kind: 'pack', credits: 900_000_000 })
    },
  }
}

/** The port that the runtime tells on its control pipe once it listens. */
function portOf(runtime) {
  return new Promise((resolve) => {
    let text = ''
    runtime.stdio[3].on('data', (data) => {
      text += data
      const match = text.match(/"event":\s*"listen".*?"port":\s*(\d+)/)
      if (match) resolve(Number(match[1]))
    })
  })
}

function capnp(names, disk, v8Flags) {
  const wrangler = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
  const compatibilityDate = wrangler.match(/^compatibility_date = "(.+)"/m)[1]
  const quoted = JSON.stringify
  const kind = (name) => (name.endsWith('.wasm') ? 'wasm' : 'esModule')
  const hasObjects = !names.includes('empty.js')
  // Ours has a second class; the rivals have one.
  const classes = names.some((name) => name.endsWith('.wasm')) ? ['Account', 'Directory'] : ['Account']
  const bindings = { Account: 'ACCOUNTS', Directory: 'DIRECTORY' }
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = [${v8Flags.map(quoted).join(', ')}],
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = ${quoted(disk)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  compatibilityDate = ${quoted(compatibilityDate)},
  modules = [
    ${names.map((name) => `(name = ${quoted(name)}, ${kind(name)} = embed ${quoted(name)})`).join(',\n    ')}
  ],
  ${hasObjects ? `bindings = [
    (name = "SERVICE_KEYS", text = ${quoted(KEY)}),
    ${classes.map((name) => `(name = "${bindings[name]}", durableObjectNamespace = "${name}"),`).join(' ')}
  ],
  durableObjectNamespaces = [${classes.map((name) => `(className = "${name}", uniqueKey = "${name.toLowerCase()}", enableSql = true)`).join(', ')}],
  durableObjectStorage = (localDisk = "disk"),` : ''}
);
`
}
