package org.lvtmobile.app

import android.content.Intent
import android.os.Bundle
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.File

/** `am start` with extras, and the reply that `lvt-bench` pulls. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
@GraphicsMode(GraphicsMode.Mode.LEGACY)
class BenchmarkActivityTest {
    private fun start(name: String, extras: Intent.() -> Unit): String {
        val intent = Intent().putExtra("reply", name).apply(extras)
        val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, intent).create().get()
        await("the end") { activity.isFinishing }
        return File(context.getExternalFilesDir("bench"), name).readText()
    }

    @Test
    fun `a run with ONNX Runtime`() {
        push(demo)
        val reply = start("run.json") {
            putExtra("artifact", demo.name)
            putExtra("runtime", "onnxruntime")
            putExtra("threads", "1")
            putExtra("warmup", 1)
            putExtra("runs", 3)
        }
        assertTrue(reply, "\"samples_ms\"" in reply && "\"accelerator\":\"cpu\"" in reply)
        assertTrue(reply, "(API 35)" in reply)
    }

    @Test
    fun `bad extras are an error to pull`() {
        assertTrue("not a benchmark request" in start("none.json") {})
        assertTrue("no artifact at" in start("lost.json") {
            putExtra("artifact", "lost.onnx")
            putExtra("runtime", "onnxruntime")
        })
    }

    /** The delegate's library is not on a desktop: what a phone without one would say. */
    @Test
    fun `an accelerator that is not there is an error to pull`() {
        push(golden("stub.onnx"))
        for (runtime in listOf("onnxruntime-nnapi", "tflite-gpu", "tflite-nnapi")) {
            val reply = start("$runtime.json") {
                putExtra("artifact", "stub.onnx")
                putExtra("runtime", runtime)
            }
            assertTrue(reply, "\"error\"" in reply)
        }
    }

    @Test
    fun `an activity that is made anew does not measure again`() {
        val anew = Robolectric.buildActivity(BenchmarkActivity::class.java, Intent()).create(Bundle()).get()
        assertTrue(anew.isFinishing)
        assertFalse(File(context.getExternalFilesDir("bench"), "bench.json").exists())
        assertEquals(0, Thread.getAllStackTraces().keys.count { it.name == "benchmark" })
    }
}
