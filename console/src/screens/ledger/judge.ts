/** What this browser finds about proofs and exports. The server only hands them out. */
import { parseCheckpoint, verify, verifyConsistency, verifyProof, type Verdict } from 'synap-verify'
import type { Api } from '../../api'
import type { InclusionProof } from '../../contract'
import { words } from '../../text/ledger'

/** Something that a person gave is no checkpoint, or this browser cannot judge. */
export class Unusable extends Error {}

/** Whether each checkpoint is of a beginning of the log as it is now; then the smaller one is one of the larger. */
export async function judgeCheckpoints(api: Api, notes: string[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const checkpoint of notes) {
    const proof = await api.ledger.consistency.query({ fromSize: sizeOf(checkpoint) })
    verdicts.push(await judged(() => verifyConsistency(proof, { checkpoint })))
  }
  return verdicts
}

/** The proof of an event, and whether it holds. */
export async function judgeEvent(api: Api, eventId: string): Promise<{ proof: InclusionProof; verdict: Verdict }> {
  const proof = await api.ledger.proof.query({ eventId })
  return { proof, verdict: await judged(() => verifyProof(proof)) }
}

/** Whether a file is what its install signed. `checkpoint` is what was kept of it, or empty. */
export async function judgeFile(file: File, checkpoint: string, progress: (done: number, total: number) => void): Promise<Verdict> {
  const bytes = new Uint8Array(await file.arrayBuffer())
  return judged(() => verify(bytes, { progress, ...(checkpoint.trim() ? { checkpoint } : {}) }))
}

function sizeOf(checkpoint: string): number {
  try {
    return parseCheckpoint(checkpoint).size
  } catch {
    throw new Unusable(words.noCheckpoint)
  }
}

async function judged(judge: () => Promise<Verdict>): Promise<Verdict> {
  if (!globalThis.crypto?.subtle) throw new Unusable(words.insecure)
  try {
    return await judge()
  } catch (error) {
    throw new Unusable(error instanceof Error ? error.message : words.noCheckpoint)
  }
}
