package org.lvtmobile.app

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.os.PowerManager
import android.util.Log
import android.view.WindowManager
import android.widget.TextView
import org.lvtmobile.core.BenchFailure
import org.lvtmobile.core.BenchReply
import org.lvtmobile.core.BenchReplyFile
import org.lvtmobile.core.Benchmark
import org.lvtmobile.core.benchRequestJson
import org.lvtmobile.core.replyFileName
import java.io.IOException
import kotlin.concurrent.thread

/**
 * Measures an artifact on request of `adb shell am start`, writes the reply file, and finishes.
 *
 * This is an activity, not a service, because Android schedules foreground activities on the fast cores,
 * as for any app in use. Only callers with the permission `DUMP` can start it: `adb shell` has this
 * permission, apps cannot get it. See android_demo/README.md for the command.
 */
class BenchmarkActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (savedInstanceState != null) return finish() // recreated by Android: the caller no longer waits
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        }
        setContentView(TextView(this).apply { text = "Benchmark is running" })
        val extras = readExtras()
        val device = deviceProperties()
        thread(name = "benchmark") {
            runAndWriteReply(extras, device)
            runOnUiThread(::finish)
        }
    }

    /** The extras of the intent; empty if they cannot be unpacked. */
    @Suppress("DEPRECATION") // the typed replacements require the type of each extra
    private fun readExtras(): Map<String, Any?> = try {
        intent.extras?.let { extras -> extras.keySet().associateWith { extras.get(it) } }.orEmpty()
    } catch (error: RuntimeException) { // for example a class that is not in this app
        Log.w(TAG, "cannot read the extras", error)
        emptyMap()
    }

    private fun runAndWriteReply(extras: Map<String, Any?>, device: Map<String, String>) {
        val name = replyFileName(extras)
        val folder = getExternalFilesDir("bench") ?: return
        val file = BenchReplyFile(folder, name)
        val reply = runExclusively(extras, device, file::writeProgress)
        Log.i(TAG, if (reply is BenchFailure) reply.toJson() else "done: $name")
        try {
            file.write(reply)
        } catch (error: IOException) {
            Log.e(TAG, "cannot write $name", error)
        }
    }

    private fun runExclusively(
        extras: Map<String, Any?>,
        device: Map<String, String>,
        progress: (Int, Double) -> Unit,
    ): BenchReply {
        if (!gate.tryEnter()) return BenchFailure("another benchmark is running; wait for its reply")
        try {
            return run(extras, device, progress)
        } finally {
            gate.leave()
        }
    }

    private fun run(
        extras: Map<String, Any?>,
        device: Map<String, String>,
        progress: (Int, Double) -> Unit,
    ): BenchReply = try {
        Benchmark(runtimes(), device).run(benchRequestJson(extras, modelFolders()), progress)
    } catch (_: OutOfMemoryError) {
        BenchFailure("not enough memory for this model")
    } catch (error: LinkageError) {
        BenchFailure("this device cannot load the runtime: ${error.message}")
    }

    /** Properties of the device for the reply, read before the measurement. */
    private fun deviceProperties(): Map<String, String> = buildMap {
        put("system", "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})")
        put("model", "${Build.MANUFACTURER} ${Build.MODEL}")
        put("build", Build.FINGERPRINT)
        put("architecture", Build.SUPPORTED_ABIS.first())
        put("cores", Runtime.getRuntime().availableProcessors().toString())
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) put("soc", "${Build.SOC_MANUFACTURER} ${Build.SOC_MODEL}")
        val power = getSystemService(PowerManager::class.java)
        put("power_save", power.isPowerSaveMode.toString())
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
            put("thermal_status", power.currentThermalStatus.toString())
        }
    }

    private companion object {
        const val TAG = "lvt-bench"

        /** Two benchmarks at the same time would disturb each other. */
        val gate = FrameGate()
    }
}
