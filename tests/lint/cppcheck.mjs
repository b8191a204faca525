// cppcheck over the library and the programs, as they are compiled.

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { complaints, missing } from './command.mjs';

const ARGS = ['--enable=warning,performance,portability', '--error-exitcode=1', '--inline-suppr', '--quiet',
  '--template={file}:{line}: {id}: {message}', '--library=posix', '--library=tests/lint/cppcheck.cfg',
  '--suppressions-list=tests/lint/cppcheck.suppressions', `-j${availableParallelism()}`,
  ...['libcodexcp', 'server', 'admin', 'hooks'].map((folder) => `--file-filter=*/${folder}/*`)];

export default [{
  name: 'cppcheck: warning, performance, portability',
  skip: () => missing('cppcheck'),
  check: ({ build }) => complaints('cppcheck', [...ARGS, `--project=${join(build, 'compile_commands.json')}`]),
}];
