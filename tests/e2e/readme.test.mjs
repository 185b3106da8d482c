// The README's tour, run as it is printed. `UPDATE_README=1` writes what the server answers into the page.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { serve } from './harness.mjs'

const README = new URL('../../README.md', import.meta.url)
const END = '--- end of answer ---'

let server
before(async () => { server = await serve() })
after(() => server.stop())

test('the tour of the README prints what the README says', async () => {
  const page = readFileSync(README, 'utf8')
  const shell = startShell()
  const definitions = page.match(/```sh\n(api\(\) \{[^]*?)```/)[1]
  await shell.run(definitions.replace('http://localhost:8787', server.url))

  let answered = page
  for (const [block, text] of page.matchAll(/```console\n([^]*?)```/g)) {
    const printed = []
    for (const line of text.trimEnd().split('\n').filter((line) => line.startsWith('$ '))) {
      printed.push(line, ...(await shell.run(line.slice(2))).split('\n').filter(Boolean))
    }
    answered = answered.replace(block, () => `\`\`\`console\n${printed.join('\n')}\n\`\`\``)
  }
  shell.end()
  if (process.env.UPDATE_README) writeFileSync(README, answered)
  else assert.equal(withoutIds(answered), withoutIds(page))
})

/** Every request has an id of its own, so that no two tours print the same ones. */
const withoutIds = (page) => page.replace(/"request_id":"[^"]+"/g, '"request_id":"…"')

/** One shell for all of the tour, since later commands use what earlier ones set. */
function startShell() {
  const bash = spawn('bash', ['--norc'], { stdio: ['pipe', 'pipe', 'inherit'] })
  bash.stdout.setEncoding('utf8')
  return {
    async run(command) {
      bash.stdin.write(`${command}\necho '${END}'\n`)
      let output = ''
      while (!output.includes(END)) output += (await once(bash.stdout, 'data'))[0]
      return output.slice(0, output.indexOf(END))
    },
    end: () => bash.stdin.end(),
  }
}
