package org.lvtmobile.app

import android.content.Context
import android.os.Build
import android.os.PowerManager

/**
 * Watches Android's level of throttling because of heat.
 *
 * @param onChange called on the main thread, with 0 (none) to 6.
 */
internal class ThermalStatus(context: Context, private val onChange: (Int) -> Unit) : AutoCloseable {
    private val power = context.getSystemService(PowerManager::class.java)
    private val listener: Any? = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
        PowerManager.OnThermalStatusChangedListener { onChange(it) }.also { power.addThermalStatusListener(it) }
    } else {
        null
    }

    /** The level now; null before Android 10. */
    fun current(): Int? = power.thermalStatus()

    override fun close() {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q && listener is PowerManager.OnThermalStatusChangedListener) {
            power.removeThermalStatusListener(listener)
        }
    }
}

/** Android's level of throttling because of heat, 0 (none) to 6; null before Android 10. */
internal fun PowerManager.thermalStatus(): Int? =
    if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) currentThermalStatus else null
