package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Insets
import android.graphics.Rect
import android.net.Uri
import android.view.DisplayCutout
import android.view.WindowInsets
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Artifact
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Picture
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Size
import org.lvtmobile.core.UserError
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicLong

/** An app with a clock of its own, so that figures on the screen are always the same. */
open class ScreenshotApplication : FakeApplication() {
    private val calls = AtomicInteger()
    private val time = AtomicLong()

    /** For each picture, the pause before it and the duration of each stage in microseconds, with a little variation. */
    override fun nanoseconds(): Long {
        val call = calls.getAndIncrement()
        val (picture, stage) = call / STAGES.size to call % STAGES.size
        return time.addAndGet(STAGES[stage] * (100L + 7 * picture % 19) * 10)
    }

    /** A graphics processor that is not there. */
    override fun runtimes(): List<Runtime> = super.runtimes() + object : Runtime by OnnxRuntime {
        override val name = "onnxruntime-gpu"
        override val accelerator = "gpu"

        override fun open(artifact: Artifact, threads: Int): Session = throw UserError("this device has no driver for it")
    }

    private companion object {
        val STAGES = listOf(9_300L, 3_100L, 21_400L, 5_200L, 1_400L)
    }
}

/** A phone with an NPU that is not there: ONNX Runtime's CPU computes in its place. */
class FakeNpuApplication : ScreenshotApplication() {
    override fun runtimes(): List<Runtime> = super.runtimes() + object : Runtime by OnnxRuntime {
        override val name = "fake-npu"
        override val accelerator = "npu"
        override val placementNote = "not told: this is a fake"
    }
}

/** Screens of a phone with a cutout, of other devices and other users, as they were approved. */
@RunWith(RobolectricTestRunner::class)
@Config(application = ScreenshotApplication::class, qualifiers = PHONE)
class ScreenshotTest {
    private val controller by lazy { Robolectric.buildActivity(MainActivity::class.java) }
    private val activity get() = controller.get()
    private val camera get() = fakeApplication.camera
    private var launched = false

    @After
    fun destroy() {
        if (launched) controller.pause().stop().destroy() // not if a model is missing
    }

    private fun launch(parts: Boolean = false) {
        shadowOf(fakeApplication).grantPermissions(Manifest.permission.CAMERA)
        push(demoModel, "street.onnx")
        if (parts) push(demoParts, "street.onnx-parts")
        controller.setup()
        launched = true
        await("camera") { camera.running != null }
        val insets = WindowInsets.Builder()
            .setInsets(WindowInsets.Type.statusBars(), Insets.of(0, 48, 0, 0))
            .setInsets(WindowInsets.Type.navigationBars(), Insets.of(0, 0, 0, 32))
            .setDisplayCutout(
                if (isWide) {
                    DisplayCutout(Insets.of(64, 0, 0, 0), Rect(0, 300, 64, 400), null, null, null)
                } else {
                    DisplayCutout(Insets.of(0, 64, 0, 0), null, Rect(380, 0, 440, 64), null, null)
                },
            )
            .build()
        activity.window.decorView.dispatchApplyWindowInsets(insets)
    }

    private val isWide get() = context.resources.configuration.let { it.screenWidthDp > it.screenHeightDp }

    /** What the camera sees in frame [index] while it moves over the scene. */
    private fun view(index: Int): Picture = if (isWide) {
        scene("landscape").crop(8 * index, 40, Size(264, 352))
    } else {
        scene("portrait").crop(5 * index, 20, Size(352, 264))
    }

    private fun deliver(index: Int) {
        val before = pictures
        awaitIdleInference()
        camera.deliver(view(index))
        await("prediction") { pictures > before }
    }

    /** Number of pictures since the model was loaded. */
    private val pictures: Int get() = activity.state.results.firstOrNull()?.latency?.history?.size ?: 0

    private fun runLive(frames: Int = 6, parts: Boolean = false) {
        launch(parts)
        for (index in 0 until frames) deliver(index)
    }

    private fun shows(name: String) {
        shadowOf(android.os.Looper.getMainLooper()).idle()
        assertLooksLike(name, activity.pixels())
    }

    private fun press(part: String) = activity.press(
        activity.visibleViews().filter { it.hasOnClickListeners() }.map { "${it.contentDescription}" }.single { part in it },
    )

    @Test
    fun live() {
        runLive()
        shows("live")
    }

    @Test
    fun details() {
        runLive(frames = 14)
        press("Latency details")
        shows("details")
    }

    @Test
    fun selection() {
        runLive()
        activity.findView<FrameView>().performClick()
        activity.findView<FrameView>().performClick()
        await("selection") { activity.shows("of the picture") }
        activity.press("Isolate")
        await("isolated") { activity.state.isolate }
        deliver(6)
        shows("selection")
    }

    @Test
    fun legend() {
        runLive()
        press("Legend")
        shows("legend")
    }

    @Test
    fun settings() {
        runLive(parts = true)
        press("Change model")
        shows("settings")
    }

    @Test
    fun photo() {
        launch()
        activity.press("Choose a photo")
        val request = shadowOf(activity).nextStartedActivityForResult
        val photo = Intent().setData(Uri.fromFile(goldenFile("demo.png")))
        shadowOf(activity).receiveResult(request.intent, Activity.RESULT_OK, photo)
        await("photo") { pictures == 1 }
        shows("photo")
    }

    @Test
    @Config(qualifiers = WIDE)
    fun landscape() {
        runLive()
        shows("landscape")
    }

    @Test
    @Config(qualifiers = WIDE)
    fun comparison() {
        launch(parts = true)
        activity.press("Compare two models")
        await("two models") { activity.state.models.size == 2 && camera.running != null }
        for (index in 0 until 4) deliver(index)
        await("agreement") { activity.shows("agree") }
        shows("comparison")
    }

    /** `make android` writes the int8 file. */
    @Test
    @Config(qualifiers = WIDE)
    fun comparisonOfPrecisions() {
        push(File(demoParts.parentFile, "${demoParts.nameWithoutExtension}_int8.onnx-parts"), "street_int8.onnx-parts")
        launch(parts = true)
        activity.select(RunSettings(model = "street.onnx-parts"))
        compare(RunSettings(model = "street_int8.onnx-parts"))
        val agreement = checkNotNull(activity.state.agreement)
        assertTrue("$agreement", agreement.share in 0.98..0.9999 && agreement.objects == agreement.objectsOfFirst)
        storeIfAsked("comparison-int8", activity.pixels())
    }

    @Test
    @Config(application = FakeNpuApplication::class, qualifiers = WIDE)
    fun comparisonOfRuntimes() {
        launch()
        compare(RunSettings(model = "street.onnx", runtime = "fake-npu"))
        shows("comparison-npu")
    }

    private fun compare(second: RunSettings) {
        activity.compare(second)
        await("two models") { activity.state.models.size == 2 && camera.running != null }
        for (index in 0 until 4) deliver(index)
        await("agreement") { activity.shows("agree") }
    }

    @Test
    fun permission() {
        push(demoModel, "street.onnx")
        controller.setup()
        await("request") { shadowOf(activity).lastRequestedPermission != null }
        activity.onRequestPermissionsResult(1, arrayOf(Manifest.permission.CAMERA), intArrayOf(-1))
        shows("permission")
    }

    /** A fallback must not look like the runtime that was selected. */
    @Test
    fun fallback() {
        runLive()
        activity.select(RunSettings(model = "street.onnx", runtime = "onnxruntime-gpu"))
        await("fallback") { activity.state.models.isNotEmpty() && camera.running != null }
        deliver(6)
        assertTrue(activity.shows("onnxruntime-gpu does not run this model: this device has no driver for it"))
        shows("fallback")
    }

    @Test
    @Config(qualifiers = "w320dp-h533dp-port-xhdpi", fontScale = 2f)
    fun largeFont() {
        runLive()
        activity.findView<FrameView>().performClick()
        await("selection") { activity.shows("of the picture") }
        shows("large-font")
    }

    @Test
    @Config(qualifiers = "w320dp-h533dp-port-xhdpi", fontScale = 2f)
    fun largeFontSettings() {
        runLive(parts = true)
        press("Change model")
        shows("large-font-settings")
    }

    @Test
    @Config(qualifiers = "w800dp-h1280dp-port-xhdpi")
    fun tablet() {
        runLive()
        press("Legend")
        shows("tablet")
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h891dp-port-xhdpi")
    fun rightToLeft() {
        runLive()
        press("Latency details")
        shows("right-to-left")
    }

    /** Instances keep their colours while the camera moves: twelve frames side by side. */
    @Test
    fun strip() {
        launch()
        val (columns, rows) = 6 to 2
        lateinit var strip: Bitmap
        val colours = mutableMapOf<Int, MutableSet<Int>>()
        for (index in 0 until columns * rows) {
            deliver(index)
            for (segment in activity.state.results.first().segments) {
                if (segment.isInstance) colours.getOrPut(segment.key) { mutableSetOf() } += segment.colour
            }
            val frame = checkNotNull(activity.findView<FrameView>().snapshot())
            val (width, height) = frame.width / 4 to frame.height / 4
            if (index == 0) strip = Bitmap.createBitmap(columns * width, rows * height, Bitmap.Config.ARGB_8888)
            val place = Rect(0, 0, width, height).apply { offset(index % columns * width, index / columns * height) }
            Canvas(strip).drawBitmap(frame, null, place, android.graphics.Paint(android.graphics.Paint.FILTER_BITMAP_FLAG))
        }
        assertTrue("$colours", colours.isNotEmpty() && colours.values.all { it.size == 1 })
        assertLooksLike("strip", strip)
    }

    /** A comparison that accepts everything would prove nothing. */
    @Test
    fun `a changed screen is noticed`() {
        runLive()
        press("Legend")
        if (System.getProperty("lvt.screenshots") == "write") return
        assertThrows(AssertionError::class.java) { shows("live") }
        assertEquals("the picture is stored for a look", true, File(System.getProperty("lvt.app"), "target/screenshots/live.jpg").isFile)
    }
}

private const val PHONE = "w411dp-h891dp-port-xhdpi"
private const val WIDE = "w891dp-h411dp-land-xhdpi"
