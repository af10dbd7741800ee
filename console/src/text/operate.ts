import { plural } from './words'

export const title = 'Operate'
export const at = 'As of'
export const pause = 'Pause'
export const noDatabase = 'The database did not answer in time, so its numbers are missing.'
export const look = 'look here'
export const events = (count: number) => plural(count, 'event')
export const log = 'Log'
export const rate = 'Append rate'
export const perSecond = (rate: string) => `${rate} / s`
export const rateLine = (count: number) => `The append rate at the last ${plural(count, 'moment')}`
export const lastMinute = 'Events of the last minute'
export const lastMinuteMeans = 'In this workspace'
export const appended = 'Appended'
export const appendedMeans = 'Since the processes began'
export const queue = 'Queue'
export const queueMeans = (bytes: string) => `Accepted and not yet committed, ${bytes}`
export const processes = 'Processes of this machine'
export const count = 'Processes'
export const streams = 'Streams'
export const streamsMeans = (count: string) => `Over ${count} live connections`
export const feedLag = 'Lag of the feed'
export const feedLagMeans = 'The slowest process, behind the log'
export const loopLag = 'Lag of the event loop'
export const loopLagMeans = 'How late the slowest process is'
export const pool = 'Connections in use'
export const poolMeans = (count: number) => `${count} calls wait for one`
export const webhooks = 'Webhooks'
export const hooks = 'Active'
export const hooksMeans = (paused: number, disabled: number) => `${paused} paused, ${disabled} disabled`
export const pending = 'Pending deliveries'
export const pendingMeans = 'Not delivered yet, and not given up'
export const overdue = 'Overdue'
export const overdueMeans = 'How long the oldest has been due'
export const hookLag = 'Lag of webhooks'
export const hookLagMeans = 'The slowest one, behind its log'
export const database = 'Database'
export const workspaces = 'Workspaces'
export const stored = 'Events'
export const storedMeans = 'In all workspaces'
export const size = 'Size'
export const connections = 'Connections'
export const connectionsMeans = 'Of all clients, and the maximum'
