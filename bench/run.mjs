// Measures Edge Credits against what else one might have done, on this machine, now. Everything is a ratio of two
// measurements made right after each other, in rounds that alternate; the table gives their spread.
//
//     npm run bench                        all rows, in less than five minutes
//     npm run bench -- --only charges      the row of that name, or those that have it in their name; several, with commas
//     npm run bench -- --rounds 3 --seconds 1
//     npm run bench -- --build folder      what is in that folder, instead of building
//     npm run bench -- --against folder    an earlier build of ours in the place of the baselines
//     npm run bench -- --cpu               throughput per second of the server's processor time, which others disturb less
//     npm run bench -- --verbose file      every figure of every round, as JSON
//     npm run bench -- --list              the rows' names
//     npm run bench -- --core              the core alone, natively
//
// It ends with code 1 if a row failed, and 2 if one missed its aim.

import { fork } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from '../scripts/build.mjs'
import { setup } from '../scripts/setup.mjs'
import { Failure, ROOT, main, paths, run } from '../scripts/tools.mjs'
import { journals } from './journals.mjs'
import { postgres } from './postgres.mjs'
import { KEY, modules, server } from './servers.mjs'
import { meets, spread, table } from './statistics.mjs'

/** How long all rows may take. Getting ready, which is done once, comes on top. */
const BUDGET_SECONDS = 230
const HUNDRED = Array.from({ length: 100 }, (_, number) => `user-${number}`)
const began = performance.now()

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    build: { type: 'string' },
    against: { type: 'string' },
    cpu: { type: 'boolean' },
    verbose: { type: 'string' },
    list: { type: 'boolean' },
    core: { type: 'boolean' },
  },
})

/** The rows of the table. `measure` gives the figures of the rounds, or a text that says why there are none. */
const ROWS = [
  {
    name: 'charges-hot-64',
    title: 'charges, one account, 64 connections, vs JS object',
    aim: { least: 2 },
    measure: () => throughput({ scenario: 'charge', accounts: ['hot'], connections: 64 }),
  },
  {
    name: 'charges-hot-1',
    title: 'charges, one account, 1 connection, vs JS object',
    aim: { least: 0.9 },
    measure: () => throughput({ scenario: 'charge', accounts: ['hot'], connections: 1 }),
  },
  {
    name: 'charges-100-64',
    title: 'charges, 100 accounts, 64 connections, vs JS objects',
    aim: { least: 1 },
    measure: () => throughput({ scenario: 'charge', accounts: HUNDRED, connections: 64 }),
  },
  {
    name: 'holds-hot-64',
    title: 'hold + capture, one account, 64 connections, vs JS object',
    aim: { least: 2 },
    measure: () => throughput({ scenario: 'hold', accounts: ['hot'], connections: 64 }),
  },
  {
    name: 'postgres',
    title: 'charges, one account, 64 connections, vs PostgreSQL',
    aim: { least: 3 },
    measure: () => againstPostgres('charge'),
  },
  {
    name: 'postgres-one-statement',
    title: 'the same, vs PostgreSQL with the charge in one statement',
    measure: () => againstPostgres('one'),
  },
  {
    name: 'balance',
    title: 'balance reads, one account, 64 connections, vs JS object',
    aim: { least: 0.9 },
    measure: () => throughput({ scenario: 'balance', accounts: ['hot'], connections: 64 }),
  },
  {
    name: 'estimate',
    title: 'estimates, 64 connections, vs JS Worker',
    aim: { least: 0.9 },
    measure: () => throughput({ scenario: 'estimate', accounts: ['hot'], connections: 64 }),
  },
  ...['charge', 'balance', 'entries', 'usage'].map((scenario) => ({
    name: `long-${scenario}`,
    title: `time of ${{ charge: 'a charge', balance: 'a balance', entries: 'a page of entries', usage: 'usage' }[scenario]} at 1,000,000 entries, vs 1,000`,
    aim: { most: 1.1 },
    isLong: true,
    measure: () => longAgainstShort(scenario),
  })),
  {
    name: 'wake',
    title: 'waking with 1,000,000 entries, ms more than an empty account',
    aim: { most: 20 },
    digits: 1,
    isLong: true,
    measure: waking,
  },
  {
    name: 'start-up',
    title: 'first answer of a fresh Worker, ms more than an empty JS Worker',
    aim: { most: 30 },
    digits: 1,
    measure: startUp,
  },
  {
    name: 'rows-charge',
    title: 'rows written per charge',
    aim: { most: 2 },
    measure: () => rowsWritten('charge'),
  },
  {
    name: 'rows-hold',
    title: 'rows written per hold + capture',
    aim: { most: 4 },
    measure: () => rowsWritten('hold'),
  },
  {
    name: 'size',
    title: 'wasm, KB gzipped',
    aim: { most: 350 },
    digits: 0,
    measure: () => [gzipSync(readFileSync(join(ourBuild, 'index_bg.wasm'))).length / 1000],
  },
]

const ourBuild = options.build ?? paths.workerBuild
const rounds = Number(options.rounds ?? 5)
const seconds = Number(options.seconds ?? 1)
const details = {}
let current = null
/** The disk folder of the accounts with long histories. */
let longHistories = null

// One generator for all, and one server of each kind, which rows share.
let generator = null
const shared = new Map()
process.on('exit', () => generator?.kill('SIGKILL'))

/** Load on a server: { rate, done, took, p50, p99, cpu }, the last in seconds of the server's processor time. */
async function load(target, job) {
  const answer = new Promise((resolve) => generator.once('message', resolve))
  const before = target.cpuSeconds()
  generator.send({ key: KEY, port: target.port, seconds, ...job })
  const measured = await answer
  measured.cpu = target.cpuSeconds() - before
  if (measured.errors > 0) throw new Failure(`${target.name}, ${current.name}: ${measured.errors} failed, such as ${measured.error}`)
  return measured
}

/** Load that is not measured, so that the runtime has compiled what is hot: enough requests, within bounds. */
async function warm(target, job) {
  await load(target, { ...job, units: 2000, seconds: 2.5 })
  // Compiling goes on in the background for a while; it would be taken for work.
  for (let wait = 0; wait < 20; wait++) {
    const before = target.cpuSeconds()
    await sleep(100)
    if (!(target.cpuSeconds() - before > 0.01)) return
  }
}

/** A server that is started the first time that a row wants it. */
async function started(name, modulePaths, disk) {
  if (!shared.has(name)) {
    const one = server(name, modulePaths, { disk })
    await one.start()
    shared.set(name, one)
  }
  return shared.get(name)
}

const ours = () => started('ours', modules.ours(ourBuild))
const theirs = () =>
  options.against ? started('ours before', modules.ours(options.against)) : started('baseline', modules.baseline())

async function open(target, accounts) {
  target.opened ??= new Set()
  for (const account of accounts) {
    if (!target.opened.has(account)) await target.open(account)
    target.opened.add(account)
  }
}

/**
 * Figures of rounds, each of measurements of the first and the second in turn. Who begins alternates, so that what
 * changes with time hits both. There are fewer rounds where the row's time is up, but never none.
 */
async function alternate(first, second, figure, { count = rounds, turns = 1, sum = ([only]) => only } = {}) {
  const figures = []
  const seen = (details[current.name] ??= [])
  for (let round = 0; round < count; round++) {
    if (round > 0 && performance.now() > current.deadline) break
    const measured = [[], []]
    for (let turn = 0; turn < turns; turn++) {
      const order = (round + turn) % 2 === 0 ? [0, 1] : [1, 0]
      for (const which of order) measured[which].push(await [first, second][which]())
    }
    const [a, b] = measured.map(sum)
    seen.push([a, b])
    figures.push(figure(a, b))
  }
  return figures
}

/** Short turns: on a machine with other work, a whole second of the one may fall into a better time than the other's. */
const TURNS = 2
const inTurns = (first, second, figure) =>
  alternate(() => first(seconds / TURNS), () => second(seconds / TURNS), figure, { turns: TURNS, sum: together })

/** What the measurements of several turns come to. */
function together(parts) {
  const total = (name) => parts.reduce((sum, part) => sum + part[name], 0)
  const [done, took, cpu] = ['done', 'took', 'cpu'].map(total)
  return { rate: done / took, done, took, cpu, p50: spread(parts.map((part) => part.p50)).median }
}

/** Ours against theirs. */
async function throughput(job) {
  const [mine, other] = [await ours(), await theirs()]
  for (const target of [mine, other]) {
    await open(target, job.accounts)
    await warm(target, job)
  }
  const during = (target) => (seconds) => load(target, { ...job, seconds })
  return inTurns(during(mine), during(other), times)
}

/** How many times as much the first did as the second. */
const times = (a, b) => (options.cpu ? a.done / a.cpu / (b.done / b.cpu) : a.rate / b.rate)

let database
async function againstPostgres(script) {
  database ??= await postgres()
  if (!database) return 'skipped: PostgreSQL is not installed'
  const job = { scenario: 'charge', accounts: ['hot'], connections: 64 }
  const mine = await ours()
  await open(mine, job.accounts)
  const other = async () => {
    const measured = await database.measure({ script, connections: 64, seconds })
    if (measured.errors > 0) throw new Failure(`PostgreSQL: ${measured.error}`)
    return measured
  }
  await warm(mine, job)
  await other()
  return alternate(() => load(mine, job), other, (a, b) => a.rate / b.rate)
}

/** How much more time the account with the long history takes, on the same server. */
async function longAgainstShort(scenario) {
  const target = await started('journals', modules.ours(ourBuild), longHistories)
  const job = (account) => ({ scenario, accounts: [account], connections: 16 })
  for (const account of ['big', 'small']) await warm(target, job(account))
  const during = (account) => (seconds) => load(target, { ...job(account), seconds })
  return inTurns(during('big'), during('small'), (a, b) => times(b, a))
}

/** The first request to an account after a start of the server, which others have already warmed. */
async function waking() {
  await shared.get('journals')?.stop()
  shared.delete('journals')
  const target = server('waking', modules.ours(ourBuild), { disk: longHistories })
  const first = async (account) => {
    const asked = performance.now()
    await target.ask('GET', `/v1/accounts/${account}/balance`)
    return performance.now() - asked
  }
  const figures = []
  for (let round = 0; round < rounds * 2; round++) {
    if (round > 1 && performance.now() > current.deadline) break
    await target.start()
    // What the first requests of a server cost is none of an account's.
    for (const account of ['small', 'other']) for (let time = 0; time < 10; time++) await first(account)
    const order = round % 2 === 0 ? ['big', 'empty'] : ['empty', 'big']
    const took = {}
    for (const account of order) took[account] = await first(account)
    figures.push(took.big - took.empty)
    ;(details[current.name] ??= []).push(took)
    await target.stop('SIGKILL')
  }
  return figures
}

async function startUp() {
  const fresh = (name, modulePaths) => {
    const target = server(name, modulePaths)
    return async () => {
      const took = await target.start()
      await target.stop('SIGKILL')
      return took
    }
  }
  const [mine, empty] = [fresh('fresh', modules.ours(ourBuild)), fresh('empty', modules.empty())]
  await mine()
  await empty()
  return alternate(mine, empty, (a, b) => a - b, { count: rounds * 2 })
}

/** Over a thousand commands, so that what is written now and then counts with its share. */
async function rowsWritten(scenario) {
  const target = await started('counted', modules.counted(ourBuild))
  await open(target, ['hot'])
  const job = { scenario, accounts: ['hot'], connections: 1, units: 1024, seconds: 60 }
  await load(target, { ...job, units: 1 })
  const before = await target.ask('GET', '/counts')
  const { done } = await load(target, job)
  const after = await target.ask('GET', '/counts')
  const [read, written] = ['read', 'written'].map((what) => after[what] - before[what])
  details[current.name] = { done, read, written }
  return [written / done]
}

async function bench() {
  const isNamed = (part) => ROWS.some((row) => row.name === part)
  const wanted = (options.only ?? '').split(',')
  const rows = ROWS.filter(({ name }) => wanted.some((part) => (isNamed(part) ? name === part : name.includes(part))))
  if (options.list) return void rows.forEach((row) => console.log(row.name))
  if (options.core) return run('cargo', ['bench', '--package', 'core-benchmark', '--quiet', '--manifest-path', join('bench', 'Cargo.toml')])
  if (rows.length === 0) throw new Failure('no row has such a name; --list shows them')
  await setup()
  if (!options.build) await build()
  try {
    // All that is measured runs ahead of whatever else does, where that is allowed.
    setPriority(-10)
  } catch {
    // Then it takes its turn.
  }
  generator = fork(join(ROOT, 'bench', 'load.mjs'))
  if (rows.some((row) => row.isLong)) longHistories = await journals(ourBuild)
  const results = []
  const start = performance.now()
  for (const [index, row] of rows.entries()) {
    current = row
    // Every row has its share of the time that is left, and a half more, since some need little.
    const left = BUDGET_SECONDS * 1000 - (performance.now() - start)
    row.deadline = performance.now() + (1.5 * Math.max(0, left)) / (rows.length - index)
    results.push(await measured(row))
    if (process.stderr.isTTY) process.stderr.write(`bench: ${row.name}\n`)
  }
  console.log(table(results))
  if (options.verbose) writeFileSync(options.verbose, JSON.stringify({ took: (performance.now() - began) / 1000, details }, null, 2))
  if (results.some(({ failed }) => failed)) return 1
  return results.every((result) => !result.figures || meets(result)) ? 0 : 2
}

/** A row's figures. One that fails does not take the others with it. */
async function measured(row) {
  try {
    const figures = await row.measure()
    return typeof figures === 'string' ? { row, skipped: figures } : { row, figures }
  } catch (error) {
    console.error(`error: ${row.name}: ${error instanceof Failure ? error.message : error.stack}`)
    return { row, skipped: 'failed', failed: true }
  }
}

await main(async () => {
  try {
    const code = await bench()
    if (code !== undefined) process.exitCode = code
    return process.exitCode
  } finally {
    for (const one of shared.values()) await one.stop()
    database?.stop()
    generator?.kill()
  }
})
