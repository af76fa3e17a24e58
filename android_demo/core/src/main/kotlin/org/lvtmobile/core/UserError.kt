package org.lvtmobile.core

/**
 * An error that the user can fix. The message is one line that says what is wrong and what to do.
 *
 * User interfaces show the message only, without a stack trace.
 */
class UserError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** The first line of a message from another library, to include in our one-line messages. */
fun Throwable.firstLine(): String =
    message?.lineSequence()?.firstOrNull()?.trim()?.ifEmpty { null } ?: javaClass.simpleName
