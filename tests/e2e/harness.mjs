// Serves the real build on the real runtime: workerd by itself, on a free port, with its accounts on disk.
//
//     const server = await serve()
//     const api = client(server)
//     await api.put('/v1/accounts/ada', { plan: 'free' })
//     await server.stop()

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const BUILD = join(ROOT, 'build')
const WORKERD = join(ROOT, 'node_modules', '.bin', 'workerd')
const START_SECONDS = 20

const VARS = {
  SERVICE_KEYS: 'dev-service-key',
  USER_TOKEN_SECRET: 'dev-user-token-secret',
  TEST_CLOCK: 'on',
  ALLOWED_ORIGINS: '',
  STRIPE_WEBHOOK_SECRET: 'whsec_dev',
}

// Bindings and the Durable Object classes behind them.
const CLASSES = [['ACCOUNTS', 'Account'], ['DIRECTORY', 'Directory']]

const running = new Set()
const folders = new Set()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
process.on('exit', () => {
  for (const runtime of running) runtime.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * Starts a server and resolves once it answers. `vars` override the variables above; null removes one. Accounts live
 * in `dir`, by default a fresh folder that `stop` removes. `front` is a module of this repository that stands before the
 * Worker. The server has:
 *
 * - `url`, `dir`, and `log`, what the runtime wrote on its standard output and error so far;
 * - `kill()`, which ends it the hard way, as a power cut would, and keeps the disk;
 * - `stop()`, which ends it and removes what was made for it;
 * - `restart()`, which starts it again on the same disk and build, at a new `url`.
 */
export async function serve({ vars = {}, dir, front } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'edge-credits-'))
  folders.add(folder)
  const disk = dir ?? join(folder, 'disk')
  mkdirSync(disk, { recursive: true })
  // A copy, so that a build during the tests changes nothing for a server under way.
  for (const module of ['index.js', 'index_bg.wasm']) cpSync(join(BUILD, module), join(folder, module))
  if (front) cpSync(join(ROOT, front), join(folder, 'front.js'))
  const config = join(folder, 'workerd.capnp')
  writeFileSync(config, capnp({ ...VARS, ...vars }, disk, front ? ['front.js', 'index.js'] : ['index.js']))

  let runtime = null
  const server = {
    url: null,
    dir: disk,
    log: '',
    kill: () => end('SIGKILL'),
    async stop() {
      await end('SIGTERM')
      rmSync(folder, { recursive: true, force: true })
      folders.delete(folder)
    },
    async restart() {
      await end('SIGKILL')
      await start()
    },
  }

  async function start() {
    runtime = spawn(WORKERD, ['serve', config, '--socket-addr', 'http=127.0.0.1:0', '--control-fd=3'], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    })
    running.add(runtime)
    const mine = runtime
    mine.ended = new Promise((resolve) => {
      mine.on('error', (error) => {
        server.log += error.message
        resolve()
      })
      mine.on('close', resolve)
    }).then(() => running.delete(mine))
    for (const output of [mine.stdout, mine.stderr]) output.on('data', (data) => (server.log += data))
    // A test that forgets to stop its server fails or passes by what it found, and does not wait for ever.
    for (const handle of [mine, ...mine.stdio.slice(1)]) handle.unref()

    const deadline = Date.now() + START_SECONDS * 1000
    const failed = () => new Error(`workerd did not start:\n${server.log}`)
    const port = await within(START_SECONDS, Promise.race([portOf(mine), mine.ended]))
    if (typeof port !== 'number') {
      await end('SIGKILL')
      throw failed()
    }
    server.url = `http://127.0.0.1:${port}`
    for (;;) {
      const answer = await fetch(`${server.url}/health`).catch(() => null)
      await answer?.arrayBuffer()
      if (answer?.ok) return
      if (Date.now() > deadline || !running.has(mine)) {
        await end('SIGKILL')
        throw failed()
      }
      await sleep(50)
    }
  }

  async function end(signal) {
    const mine = runtime
    if (!mine || !running.has(mine)) return
    mine.kill(signal)
    const inTime = await within(5, mine.ended.then(() => true))
    if (!inTime) {
      mine.kill('SIGKILL')
      await within(5, mine.ended)
    }
  }

  try {
    await start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

/** What the promise brings, or null if it takes longer. */
async function within(seconds, promise) {
  const timer = new AbortController()
  try {
    return await Promise.race([promise, sleep(seconds * 1000, null, { signal: timer.signal })])
  } finally {
    timer.abort()
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

/** The runtime's configuration, as wrangler.toml has it for a deployment. */
function capnp(vars, disk, scripts) {
  const wrangler = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
  const compatibilityDate = wrangler.match(/^compatibility_date = "(.+)"/m)[1]
  const text = JSON.stringify // Cap'n Proto escapes strings as JSON does, for all that stands in variables.
  const bindings = Object.entries(vars)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`)
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge-credits", worker = .worker),
    # The only hosts that a test may reach are on this machine.
    (name = "internet", network = (allow = ["private"])),
    (name = "disk", disk = (path = ${text(disk)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "edge-credits")],
);
const worker :Workerd.Worker = (
  compatibilityDate = ${text(compatibilityDate)},
  modules = [
    ${scripts.map((name) => `(name = ${text(name)}, esModule = embed ${text(name)})`).join(',\n    ')},
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  bindings = [
    ${[...bindings, ...CLASSES.map(([name, className]) => `(name = "${name}", durableObjectNamespace = "${className}")`)].join(',\n    ')}
  ],
  durableObjectNamespaces = [
    ${CLASSES.map(([, className]) => `(className = "${className}", uniqueKey = "edge-credits-${className.toLowerCase()}", enableSql = true)`).join(',\n    ')}
  ],
  durableObjectStorage = (localDisk = "disk"),
);
`
}

/**
 * A client of a server. `key` is the bearer credential (null for none), `clock` the Test-Clock of every request.
 * Answers are `{ status, headers, body }`, the body parsed where it is JSON, else a string.
 *
 * Options of a single request: `body` (sent as JSON) or `raw` (sent as it is), `headers`, `clock`, and
 * `idempotencyKey`, which `post` makes up unless it is given or null.
 */
export function client(server, { key = 'dev-service-key', clock } = {}) {
  async function request(method, path, options = {}) {
    const { body, raw, idempotencyKey } = options
    const headers = new Headers()
    if (key !== null) headers.set('Authorization', `Bearer ${key}`)
    if (body !== undefined || raw !== undefined) headers.set('Content-Type', 'application/json')
    if (idempotencyKey != null) headers.set('Idempotency-Key', idempotencyKey)
    const now = options.clock === undefined ? clock : options.clock
    if (now != null) headers.set('Test-Clock', now)
    new Headers(options.headers).forEach((value, name) => headers.set(name, value))

    const answer = await fetch(server.url + path, {
      method,
      headers,
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
      redirect: 'manual',
    })
    const text = await answer.text()
    const isJson = /[/+]json\b/.test(answer.headers.get('Content-Type') ?? '') && text !== ''
    return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text }
  }

  return {
    request,
    get: (path, options) => request('GET', path, options),
    post: (path, body, options) => request('POST', path, { body, idempotencyKey: randomUUID(), ...options }),
    put: (path, body, options) => request('PUT', path, { body, ...options }),
    patch: (path, body, options) => request('PATCH', path, { body, ...options }),
    del: (path, options) => request('DELETE', path, options),
    /** The same client at another time. */
    at: (time) => client(server, { key, clock: time }),
  }
}
