import { plural } from './words'

export enum words {
  title = 'Inbox',
  waiting = 'Waiting for me',
  show = 'Show',
  all = 'All intents',
  what = 'What',
  state = 'State',
  risk = 'Risk',
  irreversible = 'Cannot be undone',
  reversible = 'Can be undone',
  user = 'Asked by',
  asked = 'Asked',
  ends = 'Time left',
  over = 'over',
  uses = 'Uses',
  none = 'Nothing waits for you',
  noneMore = 'When somebody asks for something that you may decide, it appears here.',
  noOthers = 'No intents',
  noOthersMore = 'An event whose type ends in .requested is an intent if it has metadata.synap.intent.',
  older = 'Older intents',
  newer = 'Newer intents',
  back = 'All intents',
  event = 'The event',
  erased = 'This intent was erased. Nothing more starts.',
  terms = 'What is asked',
  summary = 'Summary',
  subject = 'Subject',
  expires = 'Expires',
  timeout = 'Time for each use',
  approvers = 'Who may decide',
  exactLead = 'The server starts only what has these bytes. It compares the canonical JSON.',
  bytes = 'the bytes',
  decide = 'Decide',
  reason = 'Reason',
  reasonHint = 'Everybody who sees the intent can read it.',
  approve = 'Approve',
  reject = 'Reject',
  own = 'Your own user asked for this, so somebody else has to decide.',
  notNamed = 'Only the users that it names may decide.',
  withdraw = 'Withdraw',
  withdrawTitle = 'Withdraw this intent?',
  withdrawLead = 'Nothing more starts. What has started may still finish.',
  chain = 'What became of it',
  unseen = 'Your key does not see the intent that this event belongs to.',
  node = 'the server',
  by = 'by',
  request = 'as',
  differs = 'The parameters that were reported are not those that were approved.',
  late = 'reported late',
}

export const states = { open: 'Waiting', approved: 'Approved', used_up: 'Used up', rejected: 'Rejected', expired: 'Expired', withdrawn: 'Withdrawn' }
export const risks = { low: 'Low risk', medium: 'Medium risk', high: 'High risk' }
export const used = (used: string, uses: string) => `${used} of ${uses}`
export const open = { decide: 'Look and decide', look: 'The intent' }
export const exact = { would: 'Exactly what would be approved', was: 'Exactly what was approved', never: 'Exactly what was asked for' }
export const hidden = (count: number) => `${plural(count, 'character')} that you would not see, or that would change the order of others: shown by code, such as U+202E.`
export const large = (size: string) => `This is ${size}. Download it, or show all of it here.`
export const left = (left: number, uses: number) => (left === 0 ? 'No use is left.' : `${left} of ${plural(uses, 'use')} ${left === 1 ? 'is' : 'are'} left.`)
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
export const running = (when: string) => `Its outcome is expected until ${when}.`
export const moreRuns = (count: number) => `Show ${count} earlier uses`
