import { plural } from './words'

export enum words {
  title = 'Compose',
  lead = 'Log one event. While you write, the server says what it would do with it.',
  valid = 'The server would log it.',
  stored = 'The same event is stored already.',
  invalid = 'The server would refuse it.',
  log = 'Log it',
  logged = 'Logged:',
  again = 'Another one',
  json = 'As JSON',
  jsonHint = 'The same event. The form and the JSON change together.',
}

export const size = (size: string, most: string) => `${size} of at most ${most}`
export const of = (user: string, source: string) => `user ${user}, source ${source}`
export const told = (count: number) => `${plural(count, 'webhook')} would get it.`
