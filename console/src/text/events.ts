export const events = {
  seq: 'Seq',
  time: 'Time',
  type: 'Type',
  subject: 'Subject',
  user: 'User',
  source: 'Source',
  producer: 'Producer',
  correlation: 'Correlation',
  agent: 'Agent',
  confidence: 'Confidence',
  data: 'Data',
  matches: (count: number) => (count === 1 ? 'event' : 'events'),
  count: (shown: string, count: number) => `${shown} ${count === 1 ? 'event' : 'events'}`,
  older: 'Show older events',
  end: 'This is the beginning of the log.',
  noEvents: 'The log is empty',
  noEventsHint: 'Log an event with a client, curl or synap import. Turn on Live to see it arrive.',
  noMatches: 'No event matches',
  noMatchesHint: 'Remove a condition, or choose a longer time.',
}

export const filter = {
  title: 'Filter',
  any: 'any',
  metadata: 'Metadata',
  hasMetadata: 'has metadata',
  hasNone: 'has none',
  anyTime: 'any time',
  custom: 'from … to …',
  ranges: { '15m': 'last 15 minutes', '1h': 'last hour', '24h': 'last 24 hours', '7d': 'last 7 days', '30d': 'last 30 days' } as Record<string, string>,
  from: 'From',
  to: 'To',
  json: 'JSON',
  jsonLabel: 'Filter as JSON',
  jsonHint: 'The filter language of every list, stream and webhook. Ctrl+Enter applies it.',
  notJson: 'This is not a JSON object.',
  apply: 'Apply',
  clear: 'Clear',
  conditions: 'Other conditions',
  remove: (field: string) => `Remove the condition on ${field}`,
  missing: 'is missing',
  present: 'is present',
  operators: {
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
  } as Record<string, string>,
}

export const histogram = {
  title: 'Events over time',
  table: 'As a table',
  asTable: 'Events over time, as a table',
  narrow: 'Only this time',
  said: (total: string, count: number) => `${total} ${count === 1 ? 'event' : 'events'} over time. Drag to narrow the time; the button below shows the same as a table.`,
}

export const live = {
  title: 'Live',
  states: { off: '', connecting: 'connecting…', live: 'following', reconnecting: 'reconnecting…', paused: 'paused' },
  waiting: (shown: string, count: number) => `${shown} new ${count === 1 ? 'event' : 'events'}`,
  empty: 'New events appear here.',
  end: 'Live shows the newest events. Turn it off to go further back.',
}

export const saved = {
  title: 'Views',
  none: 'This browser remembers no views yet.',
  name: 'Name of this view',
  save: 'Save',
  remove: (name: string) => `Forget the view ${name}`,
}

export const columns = {
  title: 'Columns',
  member: 'A member of the data',
  hint: 'Such as title or customer.name',
  add: 'Add',
}

export const exporting = {
  title: 'Export',
  page: (count: string, format: string) => `The ${count} rows shown, as ${format === 'csv' ? 'CSV' : 'NDJSON'}`,
  all: (count: string, format: string) => `All ${count} matches, as ${format === 'csv' ? 'CSV' : 'NDJSON'}`,
  hint: 'For an export that anyone can verify, use synap export.',
  running: (count: string) => `${count} events written…`,
}
