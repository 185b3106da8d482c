// Where a server's processor time goes, by Linux' `perf`: samples of its stacks, sorted by what they were doing.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Failure } from '../scripts/tools.mjs'
import { child, freshFolder } from './servers.mjs'

const SAMPLES_PER_SECOND = 997

/** What the runtime may be doing, by the names of its functions. */
const DOING = [
  ['compiling', /turboshaft|v8::internal::compiler|Liftoff(?!Frame)|OptimizingCompile|maglev|baseline::|wasm::.*Compil/],
  ['syncing the disk', /fsync|fdatasync|sync_file/],
  ['garbage collection', /Scaveng|MarkCompact|Heap::Collect|ConcurrentMark|Sweeper|cppgc|IncrementalMarking|Evacuat|JobTask/],
  ['SQLite', /sqlite3|SqliteDatabase|ActorSqlite|SqlStorage|transactionSync/],
]
const WASM = /^JS:(wasm-function|.*-(turbofan|liftoff)$)/
const JAVASCRIPT = /^JS:|^Builtins_(?!.*(Microtask|JSEntry))/
const RUNTIME = /^workerd::(api|jsg)|^v8::/

export const KINDS = [
  'HTTP and passing on', 'the runtime’s API', 'JavaScript', 'Rust, in wasm', 'SQLite', 'syncing the disk', 'garbage collection', 'compiling',
]

/** What the innermost code of ours was doing; or, of what it called, the runtime; or the runtime by itself. */
function kindOf(stack) {
  const ours = stack.findIndex((frame) => JAVASCRIPT.test(frame))
  const called = ours < 0 ? stack : stack.slice(0, ours)
  for (const [kind, pattern] of DOING) if (called.some((frame) => pattern.test(frame))) return kind
  if (ours < 0) return 'HTTP and passing on'
  if (called.some((frame) => RUNTIME.test(frame))) return 'the runtime’s API'
  return WASM.test(stack[ours]) ? 'Rust, in wasm' : 'JavaScript'
}

/** The shares of the kinds in a process's time, while it is under load. */
export async function profile(pid, seconds) {
  const file = join(freshFolder('profile'), 'perf.data')
  const options = ['-e', 'cpu-clock', '-F', String(SAMPLES_PER_SECOND), '-g', '-p', String(pid), '-o', file]
  const recording = child('perf', ['record', ...options, '--', 'sleep', String(seconds)], { stdio: 'ignore' })
  await recording.ended
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0]))
  let samples = 0
  for await (const stack of stacks(file)) {
    counts[kindOf(stack)]++
    samples++
  }
  rmSync(file, { force: true })
  if (samples === 0) throw new Failure('perf took no samples: is it installed, and allowed to (kernel.perf_event_paranoid)?')
  return Object.fromEntries(KINDS.map((kind) => [kind, counts[kind] / samples]))
}

/** The samples' frames, the innermost first. */
async function* stacks(file) {
  const script = spawn('perf', ['script', '--no-inline', '-i', file, '-F', 'comm,tid,ip,sym'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(script, 'close')
  let stack = []
  for await (const line of createInterface({ input: script.stdout })) {
    const frame = /^\s+[0-9a-f]+ (.*)$/.exec(line)
    if (frame) stack.push(frame[1].trim())
    else if (stack.length > 0 && line.trim() === '') {
      yield stack
      stack = []
    }
  }
  if (stack.length > 0) yield stack
  await ended
}
