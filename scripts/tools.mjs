// What the other scripts share. Node's own modules only: nothing is installed yet when this is read.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
export const WASM_TARGET = 'wasm32-unknown-unknown'

const inRoot = (...parts) => join(ROOT, ...parts)

export const paths = {
  tools: inRoot('.tools'),
  wasmBindgen: inRoot('.tools', 'bin', 'wasm-bindgen'),
  node: inRoot('node_modules', '.bin', 'node'),
  npmBin: (name) => inRoot('node_modules', '.bin', name),
  workerBuild: inRoot('build'),
}

/** A failure whose message is all that its reader needs: no stack is printed. */
export class Failure extends Error {}

/** Runs a script's main function: its result is the exit code, and a Failure is told in one line. */
export async function main(run) {
  try {
    process.exitCode = (await run()) ?? 0
  } catch (error) {
    console.error(error instanceof Failure ? `error: ${error.message}` : error)
    process.exitCode = 1
  }
}

/** Whether this module is the script that was started, and not one that another imported. */
export const isMain = (meta) => realpathSync(process.argv[1]) === fileURLToPath(meta.url)

/** Runs a command to its end with our own output, and resolves to its exit code. */
export function run(command, args, { cwd = ROOT, env = {}, stdio = ['ignore', 'inherit', 'inherit'] } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } })
    const passOn = () => child.kill('SIGTERM')
    process.once('SIGTERM', passOn)
    child.on('error', (error) => reject(new Failure(`cannot run ${command}: ${error.message}`)))
    child.on('exit', (code, signal) => {
      process.off('SIGTERM', passOn)
      resolve(signal ? 1 : code)
    })
  })
}

/** Like `run`, but anything other than success is a failure. */
export async function must(command, args, options) {
  const code = await run(command, args, options)
  if (code !== 0) throw new Failure(`\`${[command, ...args].join(' ')}\` ended with code ${code}`)
}

/** What a command prints, without the last newline, or null when it is missing or fails. */
export function ask(command, args) {
  const answer = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' })
  return answer.status === 0 ? answer.stdout.trim() : null
}

/** A hash of files and folders (by their paths in the repository) and of any other text given. */
export function hashOf(entries, ...texts) {
  const hash = createHash('sha256')
  const add = (path) => {
    if (!existsSync(path)) return
    if (statSync(path).isDirectory()) {
      for (const name of readdirSync(path).sort()) add(join(path, name))
    } else {
      hash.update(`${relative(ROOT, path)}\0`).update(createHash('sha256').update(readFileSync(path)).digest())
    }
  }
  for (const entry of entries) add(inRoot(entry))
  for (const text of texts) hash.update(`\0${text}`)
  return hash.digest('hex')
}

/** The content of a small file, or null. */
export const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : null)

/** Runs `work` while no other process of this folder holds the same lock; a holder that died counts for nothing. */
export async function locked(name, work) {
  const lock = join(paths.tools, `${name}.lock`)
  mkdirSync(paths.tools, { recursive: true })
  for (let told = false; ; told = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (!isAlive(Number(read(lock)))) {
        rmSync(lock, { force: true })
        continue
      }
      if (!told) console.log(`${name}: waiting for another one under way in this folder`)
      await sleep(300)
    }
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function isAlive(pid) {
  if (!pid) return true // Just created, its holder's id not yet written.
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** The version of a crate in Cargo.lock, which thereby is the one place that says it. */
export function lockedVersion(crate) {
  const match = read(inRoot('Cargo.lock'))?.match(new RegExp(`name = "${crate}"\nversion = "([^"]+)"`))
  if (!match) throw new Failure(`Cargo.lock names no ${crate}`)
  return match[1]
}

/** The folders of this machine that must not show in what we build, and what stands for them there. */
export function machinePaths() {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  return [
    [ROOT, '/edge-credits'],
    [cargoHome, '/cargo'],
    [`${ask('rustc', ['--print', 'sysroot'])}/lib/rustlib/src/rust`, '/rust'],
  ]
}

/**
 * The environment for building wasm with cargo. The flags travel encoded since a folder's name may have spaces.
 * WASM_BINDGEN_USE_JS_SYS is what the `worker` crate's macros are made for: they find futures in js-sys.
 */
export function wasmEnv() {
  const remaps = machinePaths().map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
  return { CARGO_ENCODED_RUSTFLAGS: remaps.join('\x1f'), WASM_BINDGEN_USE_JS_SYS: '1' }
}
