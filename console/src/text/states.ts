export enum words {
  loading = 'Loading…',
  slow = 'The server takes longer than usual…',
  offline = 'No answer from the server. Trying again…',
  busy = 'The server cannot answer now. Trying again…',
  failed = 'That did not work',
  forbidden = 'Your key may not do this',
  missing = 'Not found',
  retry = 'Try again',
  notHere = 'There is no such page.',
  toEvents = 'Go to the first screen',
}

export const workspaceMissing = (name: string) => `Your key has no workspace “${name}”.`
