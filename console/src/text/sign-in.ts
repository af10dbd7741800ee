export enum words {
  title = 'Sign in',
  lead = 'Paste an API key. This tab remembers it until you sign out or close the tab.',
  key = 'API key',
  hint = 'It begins with sk_. On the server, the command synap console prints a link that signs in.',
  submit = 'Sign in',
  malformed = 'A key has the form sk_<id>_<secret>, without spaces.',
  out = 'Sign out',
  outTemporary = 'Sign out and end this key',
  endedTitle = 'Your key has ended',
  ended = 'It expired or was revoked. Paste another key to go on where you were.',
  never = 'Does not expire',
  readsOwn = 'This key shows only the events of its own user.',
  user = 'User',
  keyId = 'Key',
  scopes = 'Scopes',
  account = 'Your key',
}

export const expires = (when: string) => `Expires ${when}`
