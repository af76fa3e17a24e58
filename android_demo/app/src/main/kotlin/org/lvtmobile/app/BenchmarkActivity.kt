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
import org.lvtmobile.core.Benchmark
import org.lvtmobile.core.ReplyFile
import org.lvtmobile.core.benchRequest
import org.lvtmobile.core.replyName
import java.io.IOException
import kotlin.concurrent.thread

/**
 * Times an artifact for whoever is at the other end of a cable, and ends.
 *
 * An activity and not a service: what is in front gets the fast cores, and that is what users of an
 * app see. Only callers with the permission `DUMP`, which `adb shell` has and apps cannot get, may
 * start it. See android_demo/README.md for the command.
 */
class BenchmarkActivity : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (savedInstanceState != null) return finish() // Android makes it anew; nobody waits for it any more
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O_MR1) {
            setShowWhenLocked(true)
            setTurnScreenOn(true)
        }
        setContentView(TextView(this).apply { text = "Benchmark is running" })
        val extras = extras()
        val device = device()
        thread(name = "benchmark") {
            answer(extras, device)
            runOnUiThread(::finish)
        }
    }

    /** What came with the intent; nothing where that cannot be unpacked. */
    @Suppress("DEPRECATION") // its typed successors need to know what to expect
    private fun extras(): Map<String, Any?> = try {
        intent.extras?.let { extras -> extras.keySet().associateWith { extras.get(it) } }.orEmpty()
    } catch (error: RuntimeException) { // whatever class of another app was packed
        Log.w(TAG, "the extras cannot be read", error)
        emptyMap()
    }

    private fun answer(extras: Map<String, Any?>, device: Map<String, String>) {
        val name = replyName(extras)
        val folder = getExternalFilesDir("bench") ?: return
        val file = ReplyFile(folder, name)
        val reply = reply(extras, device, file::progress)
        Log.i(TAG, if (reply is BenchFailure) reply.toJson() else "done: $name")
        try {
            file.write(reply)
        } catch (error: IOException) {
            Log.e(TAG, "cannot write $name", error)
        }
    }

    private fun reply(
        extras: Map<String, Any?>,
        device: Map<String, String>,
        progress: (Int, Double) -> Unit,
    ): BenchReply {
        if (!running.tryEnter()) return BenchFailure("another benchmark is running; wait for its reply")
        try {
            return measured(extras, device, progress)
        } finally {
            running.leave()
        }
    }

    private fun measured(
        extras: Map<String, Any?>,
        device: Map<String, String>,
        progress: (Int, Double) -> Unit,
    ): BenchReply = try {
        Benchmark(RUNTIMES, device).reply(benchRequest(extras, modelFolders()), progress)
    } catch (_: OutOfMemoryError) {
        BenchFailure("not enough memory for this model")
    } catch (error: LinkageError) {
        BenchFailure("this device cannot load the runtime: ${error.message}")
    }

    /** What results say of the phone, before the run. */
    private fun device(): Map<String, String> = buildMap {
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

        /** Two at once would time each other. */
        val running = FrameGate()
    }
}
