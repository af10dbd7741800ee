export enum words {
  title = 'Events',
  seq = 'Seq',
  time = 'Time',
  type = 'Type',
  subject = 'Subject',
  user = 'User',
  source = 'Source',
  producer = 'Producer',
  correlation = 'Correlation',
  agent = 'Agent',
  confidence = 'Confidence',
  data = 'Data',
  older = 'Show older events',
  end = 'This is the beginning of the log.',
  noEvents = 'The log is empty',
  noEventsHint = 'Log an event with a client, curl or synap import. Turn on Live to see it arrive.',
  noMatches = 'No event matches',
  noMatchesHint = 'Remove a condition, or choose a longer time.',
}

export const matches = (count: number) => (count === 1 ? 'event' : 'events')
export const count = (shown: string, count: number) => `${shown} ${count === 1 ? 'event' : 'events'}`
