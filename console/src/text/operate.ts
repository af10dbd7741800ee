import { plural } from './words'

export enum words {
  title = 'Operate',
  at = 'As of',
  pause = 'Pause',
  noDatabase = 'The database did not answer in time, so its numbers are missing.',
  look = 'look here',
  log = 'Log',
  rate = 'Append rate',
  lastMinute = 'Events of the last minute',
  lastMinuteMeans = 'In this workspace',
  appended = 'Appended',
  appendedMeans = 'Since the processes began',
  queue = 'Queue',
  processes = 'Processes of this machine',
  count = 'Processes',
  streams = 'Streams',
  feedLag = 'Lag of the feed',
  feedLagMeans = 'The slowest process, behind the log',
  loopLag = 'Lag of the event loop',
  loopLagMeans = 'How late the slowest process is',
  pool = 'Connections in use',
  webhooks = 'Webhooks',
  hooks = 'Active',
  pending = 'Pending deliveries',
  pendingMeans = 'Not delivered yet, and not given up',
  overdue = 'Overdue',
  overdueMeans = 'How long the oldest has been due',
  hookLag = 'Lag of webhooks',
  hookLagMeans = 'The slowest one, behind its log',
  database = 'Database',
  workspaces = 'Workspaces',
  stored = 'Events',
  storedMeans = 'In all workspaces',
  size = 'Size',
  connections = 'Connections',
  connectionsMeans = 'Of all clients, and the maximum',
}

export const events = (count: number) => plural(count, 'event')
export const perSecond = (rate: string) => `${rate} / s`
export const rateLine = (count: number) => `The append rate at the last ${plural(count, 'moment')}`
export const queueMeans = (bytes: string) => `Accepted and not yet committed, ${bytes}`
export const streamsMeans = (count: string) => `Over ${count} live connections`
export const poolMeans = (count: number) => `${count} calls wait for one`
export const hooksMeans = (paused: number, disabled: number) => `${paused} paused, ${disabled} disabled`
