import type { SynapEvent } from '../../contract'

const COLUMNS: [string, (event: SynapEvent) => unknown][] = [
  ['id', ({ id }) => id],
  ['seq', ({ seq }) => seq],
  ['timestamp', ({ timestamp }) => timestamp],
  ['type', ({ type }) => type],
  ['subjectId', ({ subjectId }) => subjectId],
  ['userId', ({ userId }) => userId],
  ['source', ({ source }) => source],
  ['producer', ({ producer }) => producer],
  ['correlationId', ({ correlationId }) => correlationId],
  ['causationId', ({ causationId }) => causationId],
  ['occurredAt', ({ occurredAt }) => occurredAt],
  ['agent', ({ metadata }) => metadata?.ai?.agent],
  ['confidence', ({ metadata }) => metadata?.ai?.confidence?.score],
  ['hash', ({ hash }) => hash],
  ['erased', ({ erased }) => erased ?? false],
  ['data', ({ data }) => JSON.stringify(data)],
  ['metadata', ({ metadata }) => metadata && JSON.stringify(metadata)],
]

export const csvHead = (): string => `${COLUMNS.map(([name]) => name).join(',')}\r\n`

export const csvLine = (event: SynapEvent): string => `${COLUMNS.map(([, read]) => cell(read(event))).join(',')}\r\n`

/** A cell as RFC 4180 has it. A text that a spreadsheet would run as a formula gets a `'` before it. */
function cell(value: unknown): string {
  if (value === undefined) return ''
  const text = String(value)
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
