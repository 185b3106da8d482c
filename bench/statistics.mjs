// Figures of rounds, and the table of them.

/** What rounds come to. */
export function spread(values) {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2
  return { min: sorted[0], median, max: sorted.at(-1) }
}

/** A figure as the table shows it. */
const shown = (row, value) => value.toFixed(row.digits ?? 2)

/** Whether a row's median, as the table shows it, is as it should be. An aim is { least } or { most }. */
export function meets({ row, figures }) {
  if (!row.aim) return true
  const median = Number(shown(row, spread(figures).median))
  return row.aim.least === undefined ? median <= row.aim.most : median >= row.aim.least
}

/** The table as Markdown, which is also how it reads in a terminal. */
export function table(results) {
  const rows = results.map(({ row, figures, skipped }) => {
    if (skipped) return [row.title, '', '', '', '', skipped]
    const { min, median, max } = spread(figures)
    const show = (value) => shown(row, value)
    const aim = !row.aim ? '' : row.aim.least === undefined ? `≤ ${row.aim.most}` : `≥ ${row.aim.least}`
    const verdict = !row.aim ? '' : meets({ row, figures }) ? 'yes' : 'no'
    return [row.title, show(min), show(median), show(max), aim, verdict]
  })
  const all = [['', 'min', 'median', 'max', 'aim', 'met'], ...rows]
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => [...row[column]].length)))
  const pad = (text, column) => (column === 0 || column === 5 ? text.padEnd(widths[column]) : text.padStart(widths[column]))
  const line = (row) => `| ${row.map(pad).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column === 0 || column === 5 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(all[0]), rule, ...all.slice(1).map(line)].join('\n')
}
