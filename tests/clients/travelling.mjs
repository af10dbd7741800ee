// Judges proofs that travel by clients/verify: JSON on standard input, [{proof, policy}], each in base64 or null. Prints a
// list of verdicts; what is thrown becomes {thrown}.
import { text } from 'node:stream/consumers';
import { parsePolicy, verifyTlogProof } from '../../clients/verify/verify.mjs';

const bytes = (encoded) => new Uint8Array(Buffer.from(encoded, 'base64'));

async function judged({ proof, policy }) {
  try {
    const trusted = policy === null ? {} : { policy: parsePolicy(bytes(policy)) };
    return proof === null ? { broken: null } : await verifyTlogProof(bytes(proof), trusted);
  } catch (error) {
    return { thrown: error.message };
  }
}

const answers = [];
for (const each of JSON.parse(await text(process.stdin))) answers.push(await judged(each));
process.stdout.write(JSON.stringify(answers));
