export const title = 'API'
export const lead = 'Every procedure of this server. Calls are made with your key, in this workspace.'
export const find = 'Find'
export const list = 'Procedures'
export const none = 'No procedure has that in its name.'
export const kinds = { query: 'query', mutation: 'mutation', subscription: 'stream' }
export const needs = (scope: string) => `needs ${scope}`
export const anyKey = 'any key'
export const lacking = 'Your key may not call it.'
export const stream = 'It is a stream. Live, on the screen of events, follows one.'
export const input = 'Input'
export const inputHint = (names: string) => `JSON. Also: ${names}.`
export const json = 'JSON.'
export const notJson = 'This is no JSON.'
export const run = 'Call'
export const changes = 'It changes something on the server.'
export const answer = 'Answer'
export const large = (size: string) => `${size}: too large to show.`
export const errors = 'Errors'
export const schemas = 'Schemas'
