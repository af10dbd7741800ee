export enum words {
  title = 'Filter',
  any = 'any',
  metadata = 'Metadata',
  hasMetadata = 'has metadata',
  hasNone = 'has none',
  anyTime = 'any time',
  custom = 'from … to …',
  json = 'JSON',
  jsonLabel = 'Filter as JSON',
  jsonHint = 'The filter language of every list, stream and webhook. Ctrl+Enter applies it.',
  notJson = 'This is not a JSON object.',
  apply = 'Apply',
  clear = 'Clear',
  conditions = 'Other conditions',
  missing = 'is missing',
  present = 'is present',
}

export const ranges = { '15m': 'last 15 minutes', '1h': 'last hour', '24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days' } as Record<string, string>
export const ends = { from: 'From', to: 'To' }
export const remove = (field: string) => `Remove the condition on ${field}`
export const operators = {
  eq: 'is',
  ne: 'is not',
  in: 'is one of',
  nin: 'is none of',
  gt: '>',
  gte: '≥',
  lt: '<',
  lte: '≤',
  contains: 'contains',
  startsWith: 'starts with',
  endsWith: 'ends with',
  like: 'is like',
} as Record<string, string>
