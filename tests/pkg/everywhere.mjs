// What is checked wherever the package runs: that it answers what the vectors say, and that errors are what they
// should be. Nothing is imported here, so that this runs as it is in every runtime.

/** How many cases agree, and the first that do not. */
export async function check({ createEstimator, EdgeCreditsError }, vectors) {
  const estimators = {}
  for (const [name, { hash, source }] of Object.entries(vectors.catalogs)) {
    estimators[name] = await createEstimator(source ? { catalog: source } : undefined)
    if (estimators[name].catalog.hash !== hash) return { agreed: 0, differing: [`the hash of the catalog ${name}`] }
  }
  let agreed = 0
  const differing = []
  for (const vector of vectors.cases) {
    const expected = 'answer' in vector ? { answer: vector.answer } : { refusal: vector.refusal }
    const found = answerOf(estimators[vector.catalog], vector, EdgeCreditsError)
    if (canonical(found) === canonical(expected)) agreed++
    else differing.push(`${JSON.stringify(vector)} but found ${JSON.stringify(found)}`)
  }
  const estimates = vectors.cases.filter(({ call, catalog, answer }) => call === 'estimate' && catalog === 'published' && answer)
  const batch = estimators.published.estimateAll(estimates.map(({ request }) => request))
  const wanted = estimates.map(({ answer }) => answer)
  if (canonical(batch) !== canonical(wanted)) differing.push('the batch')
  return { agreed, differing: differing.slice(0, 3) }
}

function answerOf(estimator, { call, request, account, meter, credits }, EdgeCreditsError) {
  try {
    switch (call) {
      case 'estimate': return { answer: estimator.estimate(request) }
      case 'preview': return { answer: estimator.preview(account, request) }
      case 'affordable': return { answer: estimator.affordable(request, meter, credits) }
    }
  } catch (error) {
    if (!(error instanceof EdgeCreditsError) || !(error instanceof Error)) return { thrown: String(error) }
    const { code, detail, field = null, message } = error
    if (!message.includes(detail) || (field && !message.includes(field))) return { thrown: message }
    return { refusal: { code, detail, field } }
  }
}

/** JSON with the fields of every object in one order. */
function canonical(value) {
  return JSON.stringify(value, (_, part) => (
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part
  ))
}
