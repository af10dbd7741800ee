export const title = 'Causes and effects'
export const back = 'The event'
export const views = { tree: 'Tree', lanes: 'Lanes' }
export const by = 'Lanes by'
export const lanesBy = { agent: 'By agent', source: 'By source' }
export const tree = 'Causes and effects'
export const lanes = 'Lanes'
export const lanesSaid = 'Events over time. The arrow keys walk them, Enter opens one.'
export const asked = 'this event'
export const counts = (causes: string, effects: string) => `${causes} before it, ${effects} after it`
export const truncated = 'not all are shown'
export const side = 'Beside the tree'
export const chosen = 'Chosen event'
export const open = 'Open'
export const from = 'Trace from here'
export const correlated = 'Same correlation'
export const noOthers = 'No other event has it.'
