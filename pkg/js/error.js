/** What every refusal and every failure of this package is thrown as. */
export class EdgeCreditsError extends Error {
  /**
   * `facts` has at least a `code` and a `detail`, and what else is known: a `field`, and of an answer of the API its
   * `status` and the other members of its problem document.
   */
  constructor({ code, detail, field, ...facts }, options) {
    super(field ? `${field}: ${detail}` : detail, options)
    this.code = code
    this.detail = detail
    if (field) this.field = field
    Object.assign(this, facts)
  }
}

// On the prototype, and not a class's name, which minifiers change.
Object.defineProperty(EdgeCreditsError.prototype, 'name', { value: 'EdgeCreditsError', configurable: true, writable: true })
