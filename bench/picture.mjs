// Draws where the time of a request goes: docs/time.svg, from profiles that it takes now, on raw workerd.
//
//     node bench/picture.mjs                        ours and the JavaScript that it is measured against
//     node bench/picture.mjs --before folder        and an earlier build of ours
//     node bench/picture.mjs --seconds 6 --rounds 3

import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../scripts/build.mjs'
import { setup } from '../scripts/setup.mjs'
import { Failure, ROOT, main, paths } from '../scripts/tools.mjs'
import { KINDS, profile } from './profile.mjs'
import { KEY, modules, server } from './servers.mjs'

const COLOURS = ['#9aa5b1', '#5b8def', '#f2c14e', '#d1495b', '#2e8b72', '#174f40', '#b79fd6', '#d9d9d9']
const LOADS = [
  ['charges', { scenario: 'charge', accounts: ['hot'], connections: 64 }],
  ['balance reads', { scenario: 'balance', accounts: ['hot'], connections: 64 }],
  ['estimates', { scenario: 'estimate', accounts: ['hot'], connections: 64 }],
]

const { values: options } = parseArgs({
  options: { before: { type: 'string' }, seconds: { type: 'string' }, rounds: { type: 'string' } },
})
const seconds = Number(options.seconds ?? 5)
const rounds = Number(options.rounds ?? 3)
const generator = fork(join(ROOT, 'bench', 'load.mjs'))
process.on('exit', () => generator.kill('SIGKILL'))

async function load(target, job) {
  const answer = new Promise((resolve) => generator.once('message', resolve))
  generator.send({ key: KEY, port: target.port, ...job })
  const measured = await answer
  if (measured.errors > 0) throw new Failure(`${target.name}: ${measured.error}`)
  return measured
}

/** Microseconds of processor time that a request takes, by kind. */
async function timed(target, job) {
  const before = target.cpuSeconds()
  const [shares, { done }] = await Promise.all([
    profile(target.pid, seconds * 0.8),
    load(target, { ...job, seconds }),
  ])
  const micros = ((target.cpuSeconds() - before) * 1e6) / done
  return KINDS.map((kind) => shares[kind] * micros)
}

/** The round that is in the middle: rounds differ by what else the machine does. */
function middle(found) {
  const total = (parts) => parts.reduce((sum, part) => sum + part, 0)
  return found.sort((left, right) => total(left) - total(right))[Math.floor(found.length / 2)]
}

async function measured() {
  const servers = [
    ['JavaScript', modules.baseline()],
    ...(options.before ? [['Edge Credits, before', modules.ours(options.before)]] : []),
    ['Edge Credits', modules.ours(paths.workerBuild)],
  ]
  const targets = []
  for (const [name, modulePaths] of servers) {
    const target = server(name.replace(/\W+/g, '-'), modulePaths, { v8Flags: ['--perf-basic-prof'] })
    await target.start()
    await target.open('hot')
    targets.push([name, target])
  }
  const bars = []
  for (const [title, job] of LOADS) {
    const found = targets.map(() => [])
    for (const [, target] of targets) await load(target, { ...job, seconds: 4 })
    for (let round = 0; round < rounds; round++) {
      for (const [index, [, target]] of targets.entries()) found[index].push(await timed(target, job))
    }
    targets.forEach(([name], index) => bars.push({ title, name, parts: middle(found[index]) }))
  }
  for (const [, target] of targets) await target.stop()
  return bars
}

const WIDTH = 860
const LEFT = 150
const ROW = 26

/** Horizontal bars, by load, with a legend. Widths are microseconds of processor time. */
function drawn(bars) {
  const total = ({ parts }) => parts.reduce((sum, part) => sum + part, 0)
  const scale = (WIDTH - LEFT - 70) / Math.max(...bars.map(total))
  const shapes = []
  const text = (x, y, content, more = '') => shapes.push(`<text x="${x}" y="${y}" ${more}>${content}</text>`)
  let y = 24
  text(10, y, 'Processor time of a request in microseconds, 64 connections', 'font-weight="bold"')
  y += 14
  KINDS.forEach((kind, index) => {
    const [x, top] = [10 + (index % 4) * 205, y + Math.floor(index / 4) * 20]
    shapes.push(`<rect x="${x}" y="${top}" width="12" height="12" fill="${COLOURS[index]}"/>`)
    text(x + 18, top + 10.5, kind)
  })
  y += 60
  let title = null
  for (const bar of bars) {
    if (bar.title !== title) {
      title = bar.title
      text(10, y + 12, title, 'font-weight="bold"')
      y += ROW - 4
    }
    text(10, y + 13, bar.name)
    let x = LEFT
    bar.parts.forEach((part, index) => {
      const width = part * scale
      shapes.push(`<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="18" fill="${COLOURS[index]}"><title>${KINDS[index]}: ${part.toFixed(0)} µs</title></rect>`)
      x += width
    })
    text((x + 6).toFixed(1), y + 13, `${total(bar).toFixed(0)}`)
    y += ROW
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 8}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
${shapes.join('\n')}
</svg>
`
}

await main(async () => {
  await setup()
  await build()
  const bars = await measured()
  writeFileSync(join(ROOT, 'docs', 'time.svg'), drawn(bars))
  for (const { title, name, parts } of bars) {
    console.log(`${title}, ${name}: ${KINDS.map((kind, index) => `${kind} ${parts[index].toFixed(0)}`).join(', ')}`)
  }
  generator.kill('SIGKILL')
})
