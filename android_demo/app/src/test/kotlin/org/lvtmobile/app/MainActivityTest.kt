package org.lvtmobile.app

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Bundle
import android.os.SystemClock
import android.view.MotionEvent
import android.widget.SeekBar
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config
import java.io.File

/** Tests the screen on Robolectric's Android 15, with the real ONNX Runtime and the demo model. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35])
class MainActivityTest {
    private val firstController = Robolectric.buildActivity(MainActivity::class.java)
    private val controllers = mutableListOf<ActivityController<MainActivity>>()

    private fun launch(
        controller: ActivityController<MainActivity> = firstController,
        state: Bundle? = null,
    ): MainActivity {
        controllers += controller
        return (if (state == null) controller.setup() else controller.setup(state)).get()
    }

    private fun destroy(controller: ActivityController<MainActivity>) {
        controllers -= controller
        controller.pause().stop().destroy()
    }

    /** Releases models and threads. */
    @After
    fun destroyAll() = controllers.toList().forEach(::destroy)

    private fun grantCameraPermission() = shadowOf(context as android.app.Application)
        .grantPermissions(Manifest.permission.CAMERA)

    private fun choosePhoto(activity: MainActivity, file: File = goldenFile("demo.png")) {
        activity.press("Photo")
        val request = shadowOf(activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_GET_CONTENT, request.intent.action)
        shadowOf(activity).receiveResult(request.intent, Activity.RESULT_OK, Intent().setData(Uri.fromFile(file)))
        shadowOf(activity).clearNextStartedActivities()
    }

    private fun awaitPrediction(activity: MainActivity) =
        await("prediction") { "%" in "${activity.findView<FrameView>().contentDescription}" }

    @Test
    fun `explains how to add a model if there is none`() {
        val activity = launch()
        await("message") { activity.shows("adb push model.onnx model.onnx.json") }
        push(goldenFile("stub.onnx"))
        activity.press("Search again")
        await("error message") { activity.shows("cannot load stub.onnx") }
    }

    /** A damaged file, or the manifest of another file, gives an error message and a choice of models. */
    @Test
    fun `reports a damaged artifact and offers other models`() {
        push(goldenFile("stub.onnx"))
        File(context.modelFolders().first(), "stub.onnx").appendText("more")
        val activity = launch()
        await("message") { activity.shows("is not the file its manifest describes") }
        assertTrue("Choose a model" in activity.texts())
    }

    @Test
    fun `requests the camera permission once and handles denial`() {
        push(demoModel)
        val activity = launch()
        await("permission request") { shadowOf(activity).lastRequestedPermission != null }
        val request = shadowOf(activity).lastRequestedPermission
        assertEquals(listOf(Manifest.permission.CAMERA), request.requestedPermissions.toList())
        activity.onRequestPermissionsResult(
            request.requestCode, request.requestedPermissions, intArrayOf(PackageManager.PERMISSION_DENIED),
        )
        assertTrue(activity.shows("The live view needs the camera permission"))
        activity.press("Open settings")
        assertEquals("package:${context.packageName}", "${shadowOf(activity).nextStartedActivity.data}")
        choosePhoto(activity)
        awaitPrediction(activity)
        assertFalse(activity.shows("needs the camera permission"))
    }

    @Test
    fun `offers photos on a device without a camera`() {
        grantCameraPermission()
        push(demoModel)
        val activity = launch()
        await("message") { activity.shows("this device has no camera; choose a photo instead") }
    }

    @Test
    fun `predicts, describes and shares a photo`() {
        grantCameraPermission()
        push(demoModel)
        val activity = launch()
        await("loaded model") { activity.shows("demo_panoptic") && activity.shows("onnxruntime") }
        choosePhoto(activity)
        awaitPrediction(activity)
        assertTrue(activity.shows("infer"))
        assertFalse("the screen may turn off while a photo is shown", activity.window.decorView.keepsScreenOn())
        activity.press("Share")
        await("chooser") { shadowOf(activity).peekNextStartedActivity()?.action == Intent.ACTION_CHOOSER }
        @Suppress("DEPRECATION")
        val sent = checkNotNull(
            shadowOf(activity).nextStartedActivity.getParcelableExtra<Intent>(Intent.EXTRA_INTENT),
        )
        assertEquals(Intent.FLAG_GRANT_READ_URI_PERMISSION, sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION)
        assertTrue("infer" in sent.getStringExtra(Intent.EXTRA_TEXT).orEmpty())
        assertTrue(File(context.cacheDir, "lvt.png").length() > 0)
    }

    @Test
    fun `reports a photo that no longer exists`() {
        push(demoModel)
        val activity = launch()
        choosePhoto(activity, goldenFile("deleted.png"))
        await("message") { activity.shows("this picture cannot be read") && "Choose another photo" in activity.texts() }
    }

    /** Android recreates activities, for example after a change of language. Photo and settings must be restored. */
    @Test
    fun `a recreated activity restores its state`() {
        grantCameraPermission()
        push(demoModel)
        context.getSharedPreferences("choice", 0).edit().putInt("threads", 1).apply()
        val activity = launch()
        choosePhoto(activity)
        awaitPrediction(activity)
        val state = Bundle()
        firstController.saveInstanceState(state)
        destroy(firstController)
        val next = launch(Robolectric.buildActivity(MainActivity::class.java), state)
        awaitPrediction(next)
        assertTrue(next.shows("1 threads"))
        assertTrue("Camera" in next.texts())
    }

    @Test
    fun `can be destroyed while a model loads`() {
        push(demoModel)
        launch()
        destroy(firstController)
        Thread.getAllStackTraces().keys.filter { it.name == "inference" }.forEach { it.join(20_000) }
        shadowOf(android.os.Looper.getMainLooper()).idle()
    }

    @Test
    fun `the pause button returns from photo to camera`() {
        grantCameraPermission()
        push(demoModel)
        val activity = launch()
        await("loaded model") { activity.shows("onnxruntime") }
        activity.press("Pause")
        activity.press("Resume")
        choosePhoto(activity)
        await("photo") { "Camera" in activity.texts() }
        activity.press("Camera")
        assertTrue("Pause" in activity.texts())
    }

    @Test
    fun `changes opacity and zoom`() {
        grantCameraPermission()
        push(demoModel)
        val activity = launch()
        choosePhoto(activity)
        awaitPrediction(activity)
        val frameView = activity.findView<FrameView>()
        activity.findView<SeekBar>().progress = 25
        assertEquals(0.25f, frameView.opacity)
        frameView.layout(0, 0, 400, 600)
        doubleTap(frameView, 100f, 300f)
        assertTrue(frameView.zoom.factor > 1)
        doubleTap(frameView, 100f, 300f)
        assertEquals(Zoom(), frameView.zoom)
    }

    private fun doubleTap(view: FrameView, x: Float, y: Float) {
        var now = SystemClock.uptimeMillis() + 10_000 // later than the taps before, so that they do not combine
        for (tap in 0..1) {
            for (action in listOf(MotionEvent.ACTION_DOWN, MotionEvent.ACTION_UP)) {
                val event = MotionEvent.obtain(now, now, action, x, y, 0)
                view.onTouchEvent(event)
                event.recycle()
                now += 50
            }
        }
        shadowOf(android.os.Looper.getMainLooper()).idleFor(java.time.Duration.ofSeconds(20))
    }

    private fun android.view.View.keepsScreenOn(): Boolean = keepScreenOn ||
        (this as? android.view.ViewGroup)?.let { group ->
            (0 until group.childCount).any { group.getChildAt(it).keepsScreenOn() }
        } == true
}
