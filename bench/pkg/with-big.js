// What a competent programmer would write instead: the same estimate in JavaScript, exact by way of big.js.

/** An estimator of a catalog, with the given `Big`. It takes and gives what the package's does. */
export function withBig(Big, catalog) {
  const order = ['input_tokens', 'cached_input_tokens', 'cache_write_tokens', 'output_tokens', 'images', 'seconds', 'uses']
  const meters = new Map(order.map((meter, place) => [meter, place]))
  const increment = Big(catalog.increment)
  const models = new Map(catalog.models.map(({ id, rates }) => [id, new Map(rates.flatMap(({ meters, per, rate }) => (
    meters.map((meter) => [meter, { per, rate, exactPer: Big(per), exactRate: Big(rate), unit: unitPrice(rate, per) }])
  )))]))
  const limit = Big(1e9)
  const one = increment.eq(1)

  /** The price of one unit, where that has an end: then nothing needs to be divided. */
  function unitPrice(rate, per) {
    const unit = Big(rate).div(per)
    return unit.times(per).eq(rate) ? unit : null
  }

  function estimate(request) {
    for (const name of Object.keys(request)) {
      if (name !== 'model' && name !== 'usage') throw new Error(`invalid_request: ${name}`)
    }
    const { model, usage } = request
    const rates = models.get(model)
    if (!rates) throw new Error(`unknown_model: ${model}`)
    const used = Object.keys(usage)
    for (const meter of used) {
      const quantity = usage[meter]
      if (!meters.has(meter)) throw new Error(`unknown_meter: ${meter}`)
      const fine = meter === 'seconds' ? Math.round(quantity * 1000) / 1000 === quantity : Number.isInteger(quantity)
      if (typeof quantity !== 'number' || !(quantity >= 0) || quantity > Number.MAX_SAFE_INTEGER || !fine) {
        throw new Error(`invalid_quantity: ${meter}`)
      }
    }
    if (used.length > 1) used.sort((left, right) => meters.get(left) - meters.get(right))

    const lines = []
    let total = Big(0)
    let shown = Big(0)
    for (const meter of used) {
      const quantity = usage[meter]
      if (quantity === 0) continue
      const rate = rates.get(meter)
      if (!rate) throw new Error(`unknown_meter: ${meter}`)
      const cost = rate.unit ? rate.unit.times(quantity) : rate.exactRate.times(quantity).div(rate.exactPer)
      const credits = cost.round(6, Big.roundDown)
      total = total.plus(cost)
      shown = shown.plus(credits)
      lines.push({ model, meter, quantity, per: rate.per, rate: rate.rate, credits: credits.toNumber() })
    }
    const credits = one ? total.round(0, Big.roundUp) : total.div(increment).round(0, Big.roundUp).times(increment)
    if (credits.gte(limit)) throw new Error('amount_too_large')
    return { credits: credits.toNumber(), lines, rounding: credits.minus(shown).toNumber(), catalog: catalog.hash }
  }

  return { estimate, estimateAll: (requests) => requests.map(estimate) }
}
