export const title = 'Live'
export const states = { off: '', connecting: 'connecting…', live: 'following', reconnecting: 'reconnecting…', paused: 'paused' }
export const waiting = (shown: string, count: number) => `${shown} new ${count === 1 ? 'event' : 'events'}`
export const empty = 'New events appear here.'
export const end = 'Live shows the newest events. Turn it off to go further back.'
