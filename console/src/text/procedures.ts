export enum words {
  title = 'API',
  lead = 'Every procedure of this server. Calls are made with your key, in this workspace.',
  find = 'Find',
  list = 'Procedures',
  none = 'No procedure has that in its name.',
  anyKey = 'any key',
  lacking = 'Your key may not call it.',
  stream = 'It is a stream. Live, on the screen of events, follows one.',
  input = 'Input',
  json = 'The same as the form, in JSON. Both change together.',
  run = 'Call',
  changes = 'It changes something on the server.',
  answer = 'Answer',
  errors = 'Errors',
  schemas = 'Schemas',
}

export const kinds = { query: 'query', mutation: 'mutation', subscription: 'stream' }
export const needs = (scope: string) => `needs ${scope}`
export const large = (size: string) => `${size}: too large to show.`
