export enum words {
  title = 'Live',
  empty = 'New events appear here.',
  end = 'Live shows the newest events. Turn it off to go further back.',
}

export const states = { off: '', connecting: 'connecting…', live: 'following', reconnecting: 'reconnecting…', paused: 'paused' }
export const waiting = (shown: string, count: number) => `${shown} new ${count === 1 ? 'event' : 'events'}`
