package org.lvtmobile.app

/**
 * An error of the app itself that the user can fix, in the user's language.
 *
 * Errors of the core and of runtimes are `UserError`: diagnostics in English about an artifact, which the command line
 * and the benchmark report in the same words.
 *
 * @property phrase what is wrong and what to do.
 */
class AppError(val phrase: Phrase, cause: Throwable? = null) : Exception(cause)
