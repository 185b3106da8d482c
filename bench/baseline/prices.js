// The price table: credits per so many units, as a product team would paste it into its Worker.

const text = (rate) => ({
  per: 5000,
  rate,
  meters: ['input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens'],
})
const image = (rate) => ({ per: 1, rate, meters: ['images'] })

export const PRICES = {
  'claude-sonnet-4': text(11),
  'claude-opus-4': text(53),
  'kimi-k2': text(2),
  'gpt-4o': text(7),
  'gpt-4.1': text(6),
  'gemini-2.5-pro': text(7),
  'gemini-2.5-flash': text(2),
  'grok-4': text(10),
  'flux-1.1-pro': image(6),
  'flux-schnell': image(1),
}

const MICROS = 1_000_000

/** What a request costs, in whole credits, with its lines. Throws what the caller did wrong. */
export function price({ model, usage }) {
  const known = PRICES[model]
  if (!known) throw new BadRequest(`unknown model ${model}`)
  const lines = []
  let micros = 0
  for (const meter of Object.keys(usage)) {
    const quantity = usage[meter]
    if (!known.meters.includes(meter)) throw new BadRequest(`unknown meter ${meter}`)
    if (!Number.isSafeInteger(quantity) || quantity < 0) throw new BadRequest(`invalid quantity of ${meter}`)
    if (quantity === 0) continue
    const cost = Math.round((quantity * known.rate * MICROS) / known.per)
    micros += cost
    lines.push({ model, meter, quantity, per: known.per, rate: known.rate, credits: cost / MICROS })
  }
  const credits = Math.ceil(micros / MICROS)
  return { credits, lines, rounding: (credits * MICROS - micros) / MICROS }
}

export class BadRequest extends Error {}
