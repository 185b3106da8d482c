// What a metered call used, from what it returned.

import { EdgeCreditsError } from './error.js'

const PRICED = ['model', 'usage', 'usage_format', 'items', 'credits', 'description']

/**
 * The request to capture. What a call returns may be
 * - a priced request, `{ model, usage }` or `{ items }`, and nothing beside it;
 * - `{ usage, usage_format? }`, possibly among other things, and then of the model that was held for;
 * - a provider's own response, or the last chunk of its stream: its `usage`, in the provider's format.
 */
export function actualUsage(result, request, format) {
  if (isObject(result)) {
    const names = Object.keys(result)
    const isPriced = names.length > 0 && names.every((name) => PRICED.includes(name))
    if (isPriced && ('items' in result || 'credits' in result || 'model' in result)) return result

    const usage = result.usage ?? result.usageMetadata ?? result.usage_metadata
    if (isObject(usage)) {
      const usage_format = result.usage_format ?? format ?? formatOf(result) ?? request.usage_format
      const { model } = request
      if (typeof model === 'string') return usage_format ? { model, usage, usage_format } : { model, usage }
    }
  }
  const detail = 'the call returned no usage, so that its hold stays open: return `{ usage }`, a priced request or a provider\'s response'
  throw new EdgeCreditsError({ code: 'usage_missing', detail, field: 'usage' })
}

/** The format of a provider's response, by what the provider marks it with. */
function formatOf({ object, type, usageMetadata, usage_metadata }) {
  if (object === 'response' || (typeof object === 'string' && object.startsWith('chat.completion'))) return 'openai'
  if (type === 'message') return 'anthropic'
  if (usageMetadata ?? usage_metadata) return 'gemini'
  return undefined
}

const isObject = (value) => typeof value === 'object' && value !== null
