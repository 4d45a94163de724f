import os from 'node:os'

export const resolvePreferredOpenClawTmpDir = () => os.tmpdir()
export const withFileLock = (path, options, action) => action()
