package org.lvtmobile.app

import org.lvtmobile.core.UserError

/**
 * Knows whether an activity has stayed in front. Android gives slower cores to an app in the background, so a latency
 * that was measured there is not that of an app in use.
 *
 * @param isAwake whether the screen is on.
 */
class ForegroundWatch(private val isAwake: () -> Boolean) {
    @Volatile private var lost = false

    /** The activity went to the background; coming back does not help. */
    fun leave() {
        lost = true
    }

    /** @throws UserError the activity was in the background, or the screen is off. */
    fun require() {
        if (lost) {
            throw UserError("the benchmark left the foreground; start it again and do not use the device meanwhile")
        }
        if (!isAwake()) throw UserError("the screen is off; unlock the device and start the benchmark again")
    }
}
