package org.lvtmobile.core

/**
 * Something the user can put right: one line that says what is wrong and what to do.
 *
 * What shows it (a screen, a command line) prints the message alone.
 */
class UserError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** The first line of what another library says, for a one-line message of ours. */
fun Throwable.firstLine(): String =
    message?.lineSequence()?.firstOrNull()?.trim()?.ifEmpty { null } ?: javaClass.simpleName
