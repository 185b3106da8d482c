import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { project, run, tool } from './projects.mjs'

// What is written right, and compiles; and below it what is written wrong, each line of which must be reported.
const RIGHT = `
  const estimator: Estimator = await createEstimator()
  const estimate = estimator.estimate({ model: 'kimi-k2', usage: { input_tokens: 1200, output_tokens: 800 } })
  const credits: number = estimate.credits
  const ceiling: number | undefined = estimate.credits_max
  for (const line of estimate.lines) console.log('model' in line ? line.meter : line.description, line.credits)
  const most: number | null = estimator.affordable({ model: 'veo-3' }, 'seconds', 500)
  const report = { prompt_tokens: 9, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } }
  estimator.estimate({ model: 'gpt-4o', usage: report, usage_format: 'openai', usage_max: { completion_tokens: 50 } })
  estimator.estimate({ items: [{ model: 'flux-dev', usage: { images: 1 } }, { credits: 2.5, description: 'a document' }] })
  const again: Estimator = await createEstimator({ catalog: estimator.catalog })
  const api = new EdgeCredits({ baseUrl: 'https://credits.example', token: async () => 'a token' })
  const account: Account = await api.account('ada')
  const allowed: boolean = estimator.preview(account, { model: 'kimi-k2', usage: {} }).access.allowed
  again.preview(account.balance, { credits: 1, description: 'a feature' })
  const { result, charge } = await api.metered('ada', { model: 'kimi-k2', usage: { output_tokens: 900 } }, async (hold) => {
    console.log(hold.id)
    return { text: 'hello', usage: { output_tokens: 90 } }
  })
  console.log(credits, ceiling, most, allowed, result.text, charge.credits)
  for await (const entry of api.allEntries('ada', { order: 'asc', kind: 'charged' })) {
    if (entry.kind === 'charged' || entry.kind === 'captured') {
      const { agrees, lines } = estimator.explain(entry)
      console.log(agrees === null, lines.length, entry.charge.credits)
    } else if (entry.kind === 'granted') console.log(entry.grant.expires_at, entry.source?.of)
    else console.log(entry.kind, entry.balance.available)
  }
  await api.grant('ada', { kind: 'bonus', credits: 5, scope: ['video'] } as const)
  const quantity: number | null | undefined = (await api.preview('ada', { model: 'veo-3', usage: {} })).affordable?.seconds
  await createEstimator({ catalog: await api.catalogByHash((await api.catalogs()).in_force) })
  await createEstimator({ catalog: { increment: 1, models: [{ id: 'a', name: 'A', modality: 'text', rates: [] }] } })
  console.log(quantity, (await api.verifyEntries('ada')).findings.length, (await api.holds('ada', { status: 'held' })).next_cursor)
  try {
    estimator.estimateAll([])
  } catch (error) {
    if (error instanceof EdgeCreditsError && error.code === 'insufficient_credits') console.log(error.field, error.shortfall)
  }
`
const WRONG = [
  "createEstimator().estimate({ model: 'kimi-k2', usage: {} }) // createEstimator is asynchronous",
  "estimator.estimate({ model: 'kimi-k2', usage: { tokens: 5 } })",
  "estimator.estimate({ model: 'kimi-k2', usage: { input_tokens: '5' } })",
  "estimator.estimate({ model: 'kimi-k2', usage: { input_tokens: 5n } })",
  "estimator.estimate({ model: 'kimi-k2' })",
  "estimator.estimate({ usage: { input_tokens: 5 } })",
  "estimator.estimate({ model: 'gpt-4o', usage: {}, usage_format: 'cohere' })",
  "estimator.estimate({ credits: 5 })",
  "estimator.affordable({ model: 'veo-3' }, 'minutes', 5)",
  "estimator.preview({ balance: 5 }, { model: 'kimi-k2', usage: {} })",
  "estimator.catalog.models[0].rates[0].rate = 0",
  "const text: string = estimator.estimate({ model: 'kimi-k2', usage: {} }).credits",
  "await createEstimator({ catalogue: {} })",
  "new EdgeCredits({ token: 'a token' })",
  "await api.hold('ada', { model: 'kimi-k2', usage: {}, ttl: 5 })",
  "await api.charge('ada', { model: 'kimi-k2', usage: {}, on_excess: 'ignore' })",
  "await api.grant('ada', { kind: 'daily', credits: 5 })",
  "await api.metered('ada', { model: 'kimi-k2', usage: {} }, async () => 'no usage at all')",
  "estimator.explain({ kind: 'granted' })",
  "const charge = (await api.entries('ada')).entries[0].charge // Not every entry has one.",
  "await api.entries('ada', { kind: 'charge' })",
  "await api.entries('ada', { order: 'newest' })",
  "const remaining = (await api.account('ada')).balance.remaining",
  "await api.usage('ada', { group_by: 'week' })",
  "await createEstimator({ catalog: { increment: 1, models: [{ id: 'a' }] } })",
]
const IMPORTS = `
  import { createEstimator, EdgeCreditsError, type Account, type Estimator } from 'edge-credits'
  import { EdgeCredits } from 'edge-credits/client'
`
const GIVEN = `
  declare const estimator: Estimator
  declare const api: EdgeCredits
`
const right = `${IMPORTS}\nexport async function right(): Promise<void> {${RIGHT}}\n`
const wrong = `${IMPORTS}${GIVEN}export async function wrong(): Promise<void> {\n${WRONG.join('\n')}\n}\n`
const FIRST_WRONG_LINE = wrong.split('\n').indexOf(WRONG[0]) + 1

let folder
before(async () => {
  folder = await project({ 'right.ts': right, 'wrong.ts': wrong, 'right.mts': right, 'right.cts': right, 'wrong.mts': wrong })
})

const compile = (file, ...options) => run(tool('tsc'), [
  '--strict', '--noEmit', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--target', 'es2022',
  '--lib', 'es2022,dom,dom.iterable,esnext.disposable', '--types', '', '--ignoreConfig', ...options, file,
], { cwd: folder })

const RESOLUTIONS = {
  'as bundlers resolve': ['right.ts', 'wrong.ts', '--module', 'esnext', '--moduleResolution', 'bundler'],
  'as Node resolves modules': ['right.mts', 'wrong.mts', '--module', 'nodenext', '--moduleResolution', 'nodenext'],
}
for (const [name, [rightFile, wrongFile, ...options]] of Object.entries(RESOLUTIONS)) {
  test(`what is right compiles strictly, ${name}`, async () => {
    const { stdout } = await compile(rightFile, ...options)
    assert.equal(stdout, '')
  })

  test(`every mistake is reported, ${name}`, async () => {
    const { stdout } = await compile(wrongFile, ...options)
    const reported = new Set([...stdout.matchAll(/wrong\.m?ts\((\d+),/g)].map(([, line]) => Number(line) - FIRST_WRONG_LINE))
    assert.deepEqual(WRONG.filter((_, line) => !reported.has(line)), [], stdout)
  })
}

test('what is right compiles strictly, as Node resolves CommonJS', async () => {
  const { stdout } = await compile('right.cts', '--module', 'nodenext', '--moduleResolution', 'nodenext')
  assert.equal(stdout, '')
})
