// Power cuts under load, a few of them. `npm run test:crash` makes fifty; SEED=n asks for other things.

import { test } from 'node:test'
import { crash } from '../crash/crash.mjs'

const SEED = Number(process.env.SEED ?? 20250310)

test('five power cuts under load: what was answered stays, and what was not happens once', async (context) => {
  context.diagnostic(`seed ${SEED}: ${JSON.stringify(await crash({ kills: 5, seed: SEED }))}`)
})
