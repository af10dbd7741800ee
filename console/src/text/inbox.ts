import { plural } from './words'

export const title = 'Inbox'
export const waiting = 'Waiting for me'
export const show = 'Show'
export const all = 'All intents'
export const states = { open: 'Waiting', approved: 'Approved', used_up: 'Used up', rejected: 'Rejected', expired: 'Expired', withdrawn: 'Withdrawn' }
export const what = 'What'
export const state = 'State'
export const risk = 'Risk'
export const risks = { low: 'Low risk', medium: 'Medium risk', high: 'High risk' }
export const irreversible = 'Cannot be undone'
export const reversible = 'Can be undone'
export const user = 'Asked by'
export const asked = 'Asked'
export const ends = 'Time left'
export const over = 'over'
export const uses = 'Uses'
export const used = (used: string, uses: string) => `${used} of ${uses}`
export const none = 'Nothing waits for you'
export const noneMore = 'When somebody asks for something that you may decide, it appears here.'
export const noOthers = 'No intents'
export const noOthersMore = 'An event whose type ends in .requested is an intent if it has metadata.synap.intent.'
export const older = 'Older intents'
export const newer = 'Newer intents'
export const back = 'All intents'
export const event = 'The event'
export const open = { decide: 'Look and decide', look: 'The intent' }
export const erased = 'This intent was erased. Nothing more starts.'
export const terms = 'What is asked'
export const summary = 'Summary'
export const subject = 'Subject'
export const expires = 'Expires'
export const timeout = 'Time for each use'
export const approvers = 'Who may decide'
export const exact = { would: 'Exactly what would be approved', was: 'Exactly what was approved', never: 'Exactly what was asked for' }
export const exactLead = 'The server starts only what has these bytes. It compares the canonical JSON.'
export const hidden = (count: number) => `${plural(count, 'character')} that you would not see, or that would change the order of others: shown by code, such as U+202E.`
export const bytes = 'the bytes'
export const large = (size: string) => `This is ${size}. Download it, or show all of it here.`
export const decide = 'Decide'
export const reason = 'Reason'
export const reasonHint = 'Everybody who sees the intent can read it.'
export const approve = 'Approve'
export const reject = 'Reject'
export const own = 'Your own user asked for this, so somebody else has to decide.'
export const notNamed = 'Only the users that it names may decide.'
export const withdraw = 'Withdraw'
export const withdrawTitle = 'Withdraw this intent?'
export const withdrawLead = 'Nothing more starts. What has started may still finish.'
export const chain = 'What became of it'
export const left = (left: number, uses: number) => (left === 0 ? 'No use is left.' : `${left} of ${plural(uses, 'use')} ${left === 1 ? 'is' : 'are'} left.`)
export const unseen = 'Your key does not see the intent that this event belongs to.'
export const node = 'the server'
export const by = 'by'
export const steps = {
  requested: 'Asked',
  approved: 'Approved',
  rejected: 'Rejected',
  expired: 'Expired',
  withdrawn: 'Withdrawn',
  started: 'Started',
  executed: 'Executed',
  failed: 'Failed',
  unknown: 'Outcome unknown',
}
export const use = (use: number, uses: number) => `use ${use} of ${uses}`
export const request = 'as'
export const differs = 'The parameters that were reported are not those that were approved.'
export const late = 'reported late'
export const running = (when: string) => `Its outcome is expected until ${when}.`
export const moreRuns = (count: number) => `Show ${count} earlier uses`
