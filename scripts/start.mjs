// Sets up, builds and serves the API with the local defaults of .dev.vars.

import { spawn } from 'node:child_process'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from './build.mjs'
import { setup } from './setup.mjs'
import { ROOT, ask, main, paths } from './tools.mjs'

// Nothing of a local server's life should reach out to a network.
const OFFLINE = {
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
  X_LOCAL_EXPLORER: 'false',
}

async function serve({ live }) {
  await setup()
  await build()
  const devVars = join(ROOT, '.dev.vars')
  if (!existsSync(devVars)) copyFileSync(join(ROOT, '.dev.vars.example'), devVars)

  const port = process.env.PORT ?? '8787'
  const wrangler = spawn(paths.node, [
    paths.npmBin('wrangler'), 'dev', '--port', port, '--persist-to', join(ROOT, '.wrangler', 'state'),
    `--show-interactive-dev-session=${live && process.stdin.isTTY === true}`,
  ], { cwd: ROOT, stdio: [live ? 'inherit' : 'ignore', 'inherit', 'inherit'], env: { ...process.env, ...OFFLINE } })
  const ended = new Promise((resolve) => wrangler.on('exit', (code) => resolve(code ?? 0)))

  let stopped = null
  const stop = () => (stopped ??= end(wrangler, ended))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  if (process.env.npm_lifecycle_event) onParentsEnd(stop)

  announce(`http://localhost:${port}`, () => stopped || wrangler.exitCode !== null)
  const code = await ended
  await stopped
  process.exit(stopped ? 0 : code)
}

/** Ends wrangler, and whatever it leaves behind. */
async function end(wrangler, ended) {
  const family = descendants(wrangler.pid)
  wrangler.kill('SIGTERM')
  await Promise.race([ended, sleep(5000)])
  for (const pid of family) kill(pid)
}

/** An npm that is killed cannot pass it on: a server that nobody sees must not keep the port. */
function onParentsEnd(stop) {
  const parent = process.ppid
  setInterval(() => process.ppid !== parent && stop(), 500).unref()
}

async function announce(url, isOver) {
  while (!isOver()) {
    const answer = await fetch(`${url}/health`).catch(() => null)
    if (answer?.ok) {
      console.log(`\nEdge Credits is ready at ${url} (try ${url}/v1/catalog; ctrl-c stops it)\n`)
      return
    }
    await sleep(200)
  }
}

/** The process and all that it started, from the process table as it is now. */
function descendants(root) {
  const table = (ask('ps', ['-A', '-o', 'pid=,ppid=']) ?? '').split('\n').map((row) => row.trim().split(/\s+/).map(Number))
  const family = [root]
  for (const member of family) family.push(...table.filter(([, parent]) => parent === member).map(([pid]) => pid))
  return family
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself, as it should.
  }
}

await main(() => serve({ live: process.argv.includes('--live') }))
