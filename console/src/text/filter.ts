export const title = 'Filter'
export const any = 'any'
export const metadata = 'Metadata'
export const hasMetadata = 'has metadata'
export const hasNone = 'has none'
export const anyTime = 'any time'
export const custom = 'from … to …'
export const ranges = { '15m': 'last 15 minutes', '1h': 'last hour', '24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days' } as Record<string, string>
export const ends = { from: 'From', to: 'To' }
export const json = 'JSON'
export const jsonLabel = 'Filter as JSON'
export const jsonHint = 'The filter language of every list, stream and webhook. Ctrl+Enter applies it.'
export const notJson = 'This is not a JSON object.'
export const apply = 'Apply'
export const clear = 'Clear'
export const conditions = 'Other conditions'
export const remove = (field: string) => `Remove the condition on ${field}`
export const missing = 'is missing'
export const present = 'is present'
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
