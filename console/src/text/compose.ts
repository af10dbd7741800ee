import { plural } from './words'

export const compose = {
  title: 'Compose',
  lead: 'Log one event. While you write, the server says what it would do with it.',
  data: 'Data',
  dataHint: 'A JSON object.',
  metadata: 'Metadata',
  metadataHint: 'A JSON object with a member for each kind, or nothing.',
  kind: 'Add a kind',
  choose: 'choose…',
  user: 'User',
  userHint: 'Without it, the user of your key.',
  notObject: 'This is no JSON object.',
  valid: 'The server would log it.',
  stored: 'The same event is stored already.',
  invalid: 'The server would refuse it.',
  size: (size: string, most: string) => `${size} of at most ${most}`,
  of: (user: string, source: string) => `user ${user}, source ${source}`,
  told: (count: number) => `${plural(count, 'webhook')} would get it.`,
  log: 'Log it',
  logged: 'Logged:',
  again: 'Another one',
}
