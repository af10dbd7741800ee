export enum words {
  agent = 'Agent',
  confidence = 'Confidence',
  duration = 'Duration',
  tokens = 'Tokens',
  reasoning = 'Reasoning',
  outcome = 'Outcome',
  alternatives = 'Instead of:',
  extraction = 'Extracted from',
  method = 'Method',
  message = 'Message',
  thread = 'Thread',
  classification = 'Classification',
  tags = 'Tags',
  relationships = 'Relationships',
  inferred = 'Inferred properties',
  yes = 'yes',
  no = 'no',
}

export const names = { ai: 'AI', import: 'Import', sync: 'Sync', automation: 'Automation', custom: 'Custom' } as Record<string, string>
export const steps = { thinking: 'Thought', tool_call: 'Tool call', tool_result: 'Tool result', decision: 'Decision', observation: 'Observation' }
