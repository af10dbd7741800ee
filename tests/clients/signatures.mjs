// Prints whether clients/verify accepts each of the signatures on standard input: a JSON list of {kid, text, signature}.
import { readFileSync } from 'node:fs';
import { isSignedBy } from '../../clients/verify/verify.mjs';

const cases = JSON.parse(readFileSync(0, 'utf8'));
const answers = await Promise.all(cases.map(({ kid, text, signature }) => isSignedBy(kid, text, signature)));
process.stdout.write(JSON.stringify(answers));
