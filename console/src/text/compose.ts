import { plural } from './words'

export const title = 'Compose'
export const lead = 'Log one event. While you write, the server says what it would do with it.'
export const data = 'Data'
export const dataHint = 'A JSON object.'
export const metadata = 'Metadata'
export const metadataHint = 'A JSON object with a member for each kind, or nothing.'
export const kind = 'Add a kind'
export const choose = 'choose…'
export const user = 'User'
export const userHint = 'Without it, the user of your key.'
export const notObject = 'This is no JSON object.'
export const valid = 'The server would log it.'
export const stored = 'The same event is stored already.'
export const invalid = 'The server would refuse it.'
export const size = (size: string, most: string) => `${size} of at most ${most}`
export const of = (user: string, source: string) => `user ${user}, source ${source}`
export const told = (count: number) => `${plural(count, 'webhook')} would get it.`
export const log = 'Log it'
export const logged = 'Logged:'
export const again = 'Another one'
